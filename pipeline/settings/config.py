"""The YAML of a competition as one frozen, validated object.

Every setting stands here once, with its meaning, its default and its limits: `--help`, the errors
and docs/settings.md are made from these fields.
"""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.files.dialect import Dialect
from pipeline.files.messages import short
from pipeline.scoring.names import TASKS_OF_METRIC
from pipeline.settings.members import AnyMember, Member, Training, filled_in
from pipeline.settings.section import (
    NAME,
    Columns,
    Encoding,
    Ids,
    Name,
    Section,
    Separator,
    Spelled,
    Whole,
    usable_name,
)


class Data(Section):
    """data"""

    train: str = Field(description="table of the training rows: csv, tsv, parquet or zip")
    test: str = Field(description="table of the test rows")
    sample_submission: str = Field(description="the competition's own example of a submission")
    id: Ids = Field(
        "id",
        description="column of the ids, or {train: NAME, test: NAME, sample: NAME}; null: the row "
        "number, or a column that the sample and the test table share",
    )
    text: Columns = Field(("text",), description="one text column, or two for a sentence pair")
    target: Columns = Field(("target",), description="one or more target columns")
    positive: Spelled | None = Field(
        None,
        description="binary: the class whose probability is predicted; null: 1, true, yes or the "
        "greater of two numbers, or the class that the sample names",
    )
    classes: Literal["distinct", "as_written"] = Field(
        "distinct",
        description="distinct: two spellings of one class (1 and 1.0, Rail and rail) are an error; "
        "as_written: they are two classes",
    )
    group: Spelled | None = Field(None, description="column whose values never straddle folds")
    train_rows: Whole | None = Field(
        None, ge=2, description="use this many training rows only, for quick runs"
    )
    separator: Separator | None = Field(
        None,
        description="what stands between cells, one character or tab, in the tables whose first "
        "line holds it; null: as the ending says, a comma in .csv, a tab in .tsv",
    )
    quoting: Literal["csv", "none"] | None = Field(
        None,
        description="csv: cells may stand in double quotes; none: a double quote is a character "
        "like others; null: csv, and cells that look like several rows are refused",
    )
    encoding: Encoding | None = Field(
        None,
        description="of the tables, such as cp1252; null: UTF-8, or what a byte order mark says",
    )

    def id_of(self, table: str) -> str | None:
        """Name of the id's column in the train, test or sample table."""
        return self.id[table] if isinstance(self.id, Mapping) else self.id

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.separator, self.quoting, self.encoding)

    @property
    def id_name(self) -> str:
        """Name of the id's column in the files that we write."""
        return self.id_of("train") or "row"

    @model_validator(mode="after")
    def _columns(self) -> "Data":
        if len(self.text) not in (1, 2):
            raise ValueError(f"text has {len(self.text)} columns; name one, or two for a pair")
        if not self.target:
            raise ValueError("target has no column; name at least one")
        for name in (self.id_of("train"), self.id_of("test")):
            columns = [c for c in (name, self.group, *self.text, *self.target) if c is not None]
            twice = sorted({c for c in columns if columns.count(c) > 1} - {self.group})
            if twice:
                raise ValueError(
                    f"column {short(twice[0])} is named for two purposes; name a column for each"
                )
        return self


class Folds(Section):
    """folds"""

    scheme: Literal["kfold", "stratified", "group", "stratified_group", "file"] = Field(
        "stratified",
        description="how rows are dealt: kfold, stratified, group, stratified_group or file",
    )
    n: Whole = Field(5, ge=2, description="number of folds; scheme file: what the file holds")
    seed: Whole = Field(42, ge=0, description="seed of the deal")
    path: str | None = Field(None, description="scheme file: csv of the id and the fold")

    @model_validator(mode="after")
    def _file(self) -> "Folds":
        if (self.scheme == "file") != (self.path is not None):
            raise ValueError(
                f"scheme is {self.scheme} and path is {short(self.path)}; set path with "
                "scheme: file, and only then"
            )
        if self.scheme == "file" and "n" in self.model_fields_set:
            raise ValueError(f"n is {self.n}, but scheme: file reads it from the file; leave n out")
        return self


class External(Section):
    """blend.external"""

    folder: str = Field(description="an external predictor")
    align: Literal["id", "position"] = Field("id", description="position: rows, where without ids")

    @property
    def name(self) -> str:
        return PurePath(self.folder).name


class Blend(Section):
    """blend"""

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
        description="blenders to try; those that do not fit the task are passed over",
    )
    postprocessing: Columns = Field(("all",), description="post-processing to try: all, or names")
    external: tuple[External, ...] = Field(
        (), description="folders of external predictors: oof and test as csv, parquet or npy"
    )

    @property
    def by_position(self) -> set[str]:
        """Names of the external predictors whose rows, without ids, are in our order."""
        return {one.name for one in self.external if one.align == "position"}

    @field_validator("external", mode="before")
    @classmethod
    def _folders(cls, entries: object) -> object:
        """A folder's name alone stands for one that is aligned by id."""
        if not isinstance(entries, list | tuple):
            return entries
        return [{"folder": one} if isinstance(one, str) else one for one in entries]


class Submit(Section):
    """submit"""

    as_: Literal["auto", "labels", "probabilities"] = Field(
        "auto",
        alias="as",
        description="auto, labels or probabilities: what a column for classes holds",
    )


class Jobs(Section):
    """jobs"""

    backend: Literal["loky", "dask", "ray"] = Field(
        "loky", description="joblib backend: loky, dask or ray"
    )
    n_jobs: Whole | None = Field(None, ge=1, description="units side by side; null: cores or GPUs")
    threads: Whole | None = Field(None, ge=1, description="threads a unit; null: 1 on CPU")


class Config(Section):
    """A competition."""

    competition: Name = Field(description="folder name under every artifact directory")
    task: Literal["regression", "binary", "multiclass", "multilabel"] = Field(
        description="regression, binary, multiclass or multilabel"
    )
    metric: Spelled = Field(
        description="what the competition scores: " + ", ".join(TASKS_OF_METRIC)
    )
    data: Data = Field(description="the three tables and what their columns mean")
    folds: Folds = Folds()
    backbone: Spelled | None = Field(
        None,
        description="pretrained encoder: a demo name, a folder or a hub id; null: none is needed",
    )
    seed: Whole = Field(42, ge=0, description="every member's own seed is derived from it")
    training: Training = Training()
    members: tuple[AnyMember, ...] = Field(min_length=1, description="the models to train")
    blend: Blend = Blend()
    submit: Submit = Submit()
    jobs: Jobs = Jobs()

    @field_validator("competition")
    @classmethod
    def _usable(cls, name: str) -> str:
        return usable_name(name)

    @field_validator("members", mode="before")
    @classmethod
    def _fill_in(cls, members: object, info: ValidationInfo) -> object:
        known = info.data
        if not isinstance(members, list) or not {"backbone", "seed", "training"} <= set(known):
            return members  # the error about the type, or about what is not known, comes first
        shared = known["training"], known["backbone"], known["seed"]
        return [filled_in(member, *shared) for member in members]

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        fitting = [name for name, tasks in TASKS_OF_METRIC.items() if self.task in tasks]
        if self.metric not in fitting:
            complaint = "does not fit" if self.metric in TASKS_OF_METRIC else "is unknown for"
            raise ValueError(
                f"metric {short(self.metric)} {complaint} task {self.task}; "
                f"choose one of: {', '.join(fitting)}"
            )
        if self.data.train_rows is not None and self.blend.external:
            raise ValueError(
                "blend.external holds predictions of the whole training table, of which "
                "data.train_rows keeps a part; leave one of them out, on the command line by "
                "--blend.external and no name, or by --data.train_rows null"
            )
        if self.task in ("binary", "multiclass") and len(self.data.target) > 1:
            raise ValueError(
                f"data.target names {len(self.data.target)} columns, task {self.task} has one; "
                "name one, or set another task"
            )
        if self.task != "multiclass" and any(
            member.trainer.get("label_smoothing_factor")
            for member in self.members
            if isinstance(member, Member)
        ):
            raise ValueError(
                f"trainer.label_smoothing_factor goes with task: multiclass, not {self.task}; "
                "leave it out"
            )
        if self.data.positive is not None and self.task != "binary":
            raise ValueError(f"data.positive goes with task: binary, not {self.task}; leave it out")
        if "group" in self.folds.scheme and self.data.group is None:
            raise ValueError(
                f"folds.scheme {self.folds.scheme} needs data.group; name the column whose values "
                "stay together, or choose one of: kfold, stratified"
            )
        _check_names(self.members, self.blend)
        return self


def _check_names(members: tuple[AnyMember, ...], blend: Blend) -> None:
    if len(set(blend.methods)) < len(blend.methods):
        raise ValueError(
            f"blend.methods lists one twice: {', '.join(blend.methods)}; list each once"
        )
    names: set[str] = set()
    ours = {"blend_mean", *(f"blend_{method}" for method in blend.methods)}
    for member in members:
        if member.name in names:
            raise ValueError(
                f"two members are called {member.name!r}; name one of them, "
                f"say {member.default_name + '-s7'!r} with seed: 7"
            )
        names.add(member.name)
    for folder, name in ((one.folder, one.name) for one in blend.external):
        if re.fullmatch(NAME, name) is None:
            raise ValueError(
                f"blend.external: {short(folder)}: the name must match {NAME}; rename the folder"
            )
        if name in names or name.partition(".")[0] in ours:  # blend_convex.clip is a blend's too
            raise ValueError(
                f"blend.external: {folder} has the name of another predictor; rename the folder"
            )
        names.add(usable_name(name))
