"""The YAML of a competition as one frozen, validated object.

Each field has its meaning, its default and its limits: `--help`, the errors and docs/settings.md
are made from these fields.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.files.messages import short
from pipeline.scoring.names import TASKS_OF_METRIC, Setting
from pipeline.settings.agreement import (
    check_member,
    check_metric,
    check_names,
    check_sources,
    check_task,
)
from pipeline.settings.blend import Blend
from pipeline.settings.data import Data
from pipeline.settings.fine_tuning import Training, losses_for
from pipeline.settings.members import AnyMember, expanded, filled_in
from pipeline.settings.metric import checked_metric, name_of
from pipeline.settings.section import Name, Real, Section, Spelled, Whole


class Folds(Section):
    scheme: Literal["kfold", "stratified", "group", "stratified_group", "time", "file"] = Field(
        "stratified",
        description="how rows get folds: kfold, stratified, group, stratified_group, time or file",
    )
    n: Whole = Field(5, ge=2, description="number of folds; scheme file: that of the file")
    seed: Whole = Field(42, ge=0, description="seed of the folds")
    similar: Real | None = Field(
        None,
        ge=0.5,
        le=1,
        description="share of common word pairs from which texts share a fold, such as 0.9; null: "
        "only copies do",
    )
    time: Spelled | None = Field(
        None,
        description="scheme time: column of numbers or ISO dates; each fold is predicted by models "
        "of earlier rows",
    )
    path: str | None = Field(None, description="scheme file: csv with the columns id and fold")

    @model_validator(mode="after")
    def _fits_the_scheme(self) -> "Folds":
        for scheme, key, value in (("file", "path", self.path), ("time", "time", self.time)):
            if (self.scheme == scheme) != (value is not None):
                raise ValueError(
                    f"scheme is {self.scheme} and {key} is {short(value)}; set {key} with "
                    f"scheme: {scheme}, and only then"
                )
        if self.scheme == "file" and "n" in self.model_fields_set:
            raise ValueError(f"n is {self.n}, but scheme: file reads it from the file; leave n out")
        if self.scheme in ("time", "file") and self.similar is not None:
            raise ValueError(
                f"similar is {self.similar:g}, but scheme: {self.scheme} does not go by texts; "
                "leave similar out"
            )
        return self


class Submit(Section):
    as_: Literal["auto", "labels", "probabilities"] = Field(
        "auto",
        alias="as",
        description="content of a column for classes: labels, probabilities, or auto by the metric",
    )


class Jobs(Section):
    backend: Literal["loky", "dask", "ray"] = Field(
        "loky", description="where units run: loky, in processes here; dask or ray, on a cluster"
    )
    n_jobs: Whole | None = Field(
        None, ge=1, description="units at a time; null: one for each core or GPU"
    )
    threads: Whole | None = Field(
        None, ge=1, le=1024, description="threads of each unit; null: 1 on CPU"
    )
    minutes: Real | None = Field(
        None,
        gt=0,
        description="budget of training: no unit is started that would not end in time, and the "
        "later stages leave out members without all folds; null: no limit",
    )


class Config(Section):
    """A competition."""

    competition: Name = Field(description="name of the folders of all artifacts")
    task: Literal["regression", "binary", "multiclass", "multilabel"] = Field(
        description="regression, binary, multiclass or multilabel"
    )
    data: Data = Field(description="the three tables and their columns")
    metric: str | Mapping[str, Any] = Field(
        description=f"metric of the competition: {', '.join(TASKS_OF_METRIC)}; a map gives "
        "parameters, weights of columns, or a function of your own: docs/metrics.md"
    )
    folds: Folds = Folds()
    backbone: Spelled | None = Field(
        None,
        description="pretrained encoder: a demo name, a folder or a hub id; null: none is needed",
    )
    seed: Whole = Field(42, ge=0, description="seed from which the members' seeds are derived")
    training: Training = Training()
    members: tuple[AnyMember, ...] = Field(
        (), description="the models to train; none are needed where blend.external names predictors"
    )
    blend: Blend = Blend()
    submit: Submit = Submit()
    jobs: Jobs = Jobs()

    @field_validator("metric", mode="before")
    @classmethod
    def _checked(cls, metric: object, info: ValidationInfo) -> Setting:
        data = info.data.get("data")  # another error if it is missing
        return checked_metric(metric, info.data.get("task", ""), data.target if data else ())

    @field_validator("members", mode="before")
    @classmethod
    def _fill_in(cls, members: object, info: ValidationInfo) -> object:
        known, needed = info.data, {"task", "training", "data", "backbone", "seed"}
        if not needed <= known.keys():
            return ()  # without what they inherit they would look wrong: its errors are told
        if not isinstance(members, list):
            return members
        fitting = losses_for(known["task"])
        metric = name_of(known.get("metric", ""))
        loss = metric if metric in fitting else fitting[0]
        shared = known["training"], loss, known["data"].template, known["backbone"], known["seed"]
        return [filled_in(entry, *shared) for member in members for entry in expanded(member)]

    @model_validator(mode="after")
    def _agrees(self) -> "Config":
        data, blend = self.data, self.blend
        check_sources(data, self.members, blend.external)
        check_metric(self.metric, self.task)
        check_task(self.task, data, self.folds.scheme)
        for member in self.members:
            check_member(member, self.task, data)
        check_names(self.members, blend.methods, blend.external)
        return self
