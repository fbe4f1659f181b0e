"""The section `blend` of a competition's YAML: blenders, post-processing, external predictors."""

from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from pipeline.settings.section import Columns, Section


class External(Section):
    """blend.external"""

    folder: str = Field(description="folder of an external predictor")
    align: Literal["id", "position"] = Field(
        "id", description="position: rows without ids are in our order"
    )

    @property
    def name(self) -> str:
        return PurePath(self.folder).name

    @model_validator(mode="before")
    @classmethod
    def _folder(cls, entry: object) -> object:
        """A name alone is a folder whose rows are aligned by id."""
        return {"folder": entry} if isinstance(entry, str) else entry


class Blend(Section):
    methods: Columns = Field(
        (
            "mean",
            "rank_mean",
            "geometric_mean",
            "convex",
            "linear",
            "hill_climb",
            "ridge",
            "logistic",
            "lightgbm",
        ),
        description="blenders to try; those that do not fit the task are skipped",
    )
    postprocessing: Columns = Field(("all",), description="post-processing to try: all, or names")
    external: tuple[External, ...] = Field(
        (), description="folders of external predictors: oof and test as csv, parquet or npy"
    )

    @property
    def by_position(self) -> set[str]:
        """Names of the external predictors whose rows, without ids, are in our order."""
        return {external.name for external in self.external if external.align == "position"}
