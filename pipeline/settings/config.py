"""The YAML of a competition as one frozen, validated object.

Each field has its meaning, its default and its limits: `--help`, the errors and docs/settings.md
are made from these fields.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipeline.files.dialect import Dialect
from pipeline.files.messages import short
from pipeline.files.suggestions import choices
from pipeline.scoring.names import CLASSES, OWN, POOLED, TASKS_OF_METRIC, Setting
from pipeline.settings.members import (
    TASKS_OF_LOSS,
    AnyMember,
    Member,
    Training,
    expanded,
    filled_in,
    losses_for,
    with_loss,
)
from pipeline.settings.metric import checked_metric, has_weights, name_of
from pipeline.settings.section import (
    NAME,
    Columns,
    Encoding,
    Ids,
    Name,
    Real,
    Section,
    Separator,
    Spelled,
    Template,
    Whole,
    usable_name,
)
from pipeline.settings.template import check_template

MOST_TEXTS = 2  # without a template: two are a sentence pair


class Data(Section):
    """data"""

    train: str = Field(description="table of the training rows: csv, tsv, parquet or zip")
    test: str = Field(description="table of the test rows")
    sample_submission: str = Field(description="table with the columns and ids of a submission")
    id: Ids = Field(
        "id",
        description="column of the ids, or {train: NAME, test: NAME, sample: NAME}; null: the row "
        "number, or a column with the same values in the sample and the test table",
    )
    text: Columns = Field(
        ("text",),
        description="one text column, two for a sentence pair, or any number for a template",
    )
    template: Template | None = Field(
        None,
        description="how text columns and features become one text, such as "
        "'{title}{sep}{body}'; {sep} is the separator of the backbone, for classic members a line "
        "break; {{ is a brace; null: each column is a text",
    )
    features: Columns = Field(
        (),
        description="columns of numbers and categories, for lightgbm_text and for templates",
    )
    target: Columns = Field(
        ("target",),
        description="one or more target columns; multiclass: a column of classes, or a column for "
        "each class with its probability, 0 or 1 if it is certain",
    )
    transform: Literal["log1p"] | None = Field(
        None,
        description="log1p: members learn the logarithm of 1 + the target of a regression, for "
        "skewed targets from 0; predictions and scores are of the targets as they are",
    )
    positive: Spelled | None = Field(
        None,
        description="binary: the class whose probability is predicted; null: 1, true, yes or the "
        "greater of two numbers, or the class that the sample names",
    )
    classes: Literal["distinct", "as_written"] = Field(
        "distinct",
        description="distinct: two spellings of one class (1 and 1.0, Rail and rail) are an error; "
        "as_written: they are different classes",
    )
    group: Spelled | None = Field(None, description="column; rows with the same value share a fold")
    weight: Spelled | None = Field(
        None,
        description="column of numbers from 0, the weights of the training rows in all members; a "
        "row of weight 0 is predicted and scored, but not trained on; the metric weighs rows alike",
    )
    train_rows: Whole | None = Field(
        None, ge=2, description="number of training rows to use, for quick runs; null: all"
    )
    separator: Separator | None = Field(
        None,
        description="character between cells, or tab, of the tables whose first line holds it; "
        "null: a comma in .csv, a tab in .tsv",
    )
    quoting: Literal["csv", "none"] | None = Field(
        None,
        description="csv: cells may be in double quotes; none: a double quote is an ordinary "
        "character; null: csv, but cells that look like several rows are an error",
    )
    encoding: Encoding | None = Field(
        None,
        description="encoding of the tables, such as cp1252; null: UTF-8, or by byte order mark",
    )

    def id_of(self, table: str) -> str | None:
        """Name of the id column in the train, test or sample table."""
        return self.id[table] if isinstance(self.id, Mapping) else self.id

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.separator, self.quoting, self.encoding)

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that a template may name."""
        return (*self.text, *self.features)

    @property
    def id_name(self) -> str:
        """Name of the id column in the files that we write."""
        return self.id_of("train") or "row"

    @model_validator(mode="after")
    def _columns(self) -> "Data":
        if not self.text:
            raise ValueError("text has 0 columns; name at least one")
        if not self.target:
            raise ValueError("target has no column; name at least one")
        for name in (self.id_of("train"), self.id_of("test")):
            named = (name, self.group, self.weight, *self.named, *self.target)
            columns = [c for c in named if c is not None]
            repeated = sorted({c for c in columns if columns.count(c) > 1} - {self.group})
            if repeated:
                raise ValueError(
                    f"column {short(repeated[0])} is named for two purposes; name a column for each"
                )
        if self.template is not None:
            _check_template(self.template, self.named, "template")
        return self


class Folds(Section):
    """folds"""

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
    def _file(self) -> "Folds":
        if (self.scheme == "file") != (self.path is not None):
            raise ValueError(
                f"scheme is {self.scheme} and path is {short(self.path)}; set path with "
                "scheme: file, and only then"
            )
        if self.scheme == "file" and "n" in self.model_fields_set:
            raise ValueError(f"n is {self.n}, but scheme: file reads it from the file; leave n out")
        if (self.scheme == "time") != (self.time is not None):
            raise ValueError(
                f"scheme is {self.scheme} and time is {short(self.time)}; set time, the column, "
                "with scheme: time, and only then"
            )
        if self.scheme in ("time", "file") and self.similar is not None:
            raise ValueError(
                f"similar is {self.similar:g}, but scheme: {self.scheme} does not go by texts; "
                "leave similar out"
            )
        return self


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


class Submit(Section):
    """submit"""

    as_: Literal["auto", "labels", "probabilities"] = Field(
        "auto",
        alias="as",
        description="content of a column for classes: labels, probabilities, or auto by the metric",
    )


class Jobs(Section):
    """jobs"""

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
        known = info.data
        needed = ("training", "data", "backbone", "seed")
        if not isinstance(members, list) or not {"task", *needed} <= set(known):
            return members  # the error about the type or about a missing key comes first
        training, data, *rest = (known[key] for key in needed)
        shared = training, data.template, *rest
        entries = [entry for member in members for entry in expanded(member)]
        return [filled_in(entry, *shared) for entry in entries]

    @field_validator("members")
    @classmethod
    def _give_losses(
        cls, members: tuple[AnyMember, ...], info: ValidationInfo
    ) -> tuple[AnyMember, ...]:
        if "task" not in info.data:  # another error
            return members
        names = info.data["task"], info.data.get("metric", "")
        return tuple(with_loss(m, *names) if isinstance(m, Member) else m for m in members)

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        tables = (self.data.train, self.data.test, self.data.sample_submission)
        if len(set(tables)) < len(tables):
            raise ValueError(
                "data.train, data.test and data.sample_submission are three tables, got "
                f"{', '.join(map(short, tables))}; correct the path that is repeated"
            )
        if not (self.members or self.blend.external):
            raise ValueError(
                "members: [] and blend.external: []; list the models to train, such as members: "
                "[{pooling: mean}], or folders of predictors to blend"
            )
        for member in self.members:
            _check_texts(member, self.data)
        fitting = [name for name, tasks in TASKS_OF_METRIC.items() if self.task in tasks]
        metric = name_of(self.metric)
        if metric in OWN and self.task not in OWN[metric]:
            raise ValueError(
                f"metric.takes: {metric.removeprefix('own_')} does not fit task {self.task}; "
                + choices(None, [n.removeprefix("own_") for n in OWN if self.task in OWN[n]])
            )
        if metric not in OWN and metric not in fitting:
            complaint = "does not fit" if metric in TASKS_OF_METRIC else "is unknown for"
            raise ValueError(
                f"metric {short(metric)} {complaint} task {self.task}; " + choices(metric, fitting)
            )
        if has_weights(self.metric) and (self.task in CLASSES or metric in POOLED):
            raise ValueError(
                f"metric.column_weights goes with a mean over columns, which {metric} of task "
                f"{self.task} is not; leave it out"
            )
        if self.data.train_rows is not None and self.blend.external:
            raise ValueError(
                "blend.external holds predictions of the whole training table, of which "
                "data.train_rows keeps a part; leave one of them out, on the command line by "
                "--blend.external and no name, or by --data.train_rows null"
            )
        if self.task == "binary" and len(self.data.target) > 1:
            raise ValueError(
                f"data.target names {len(self.data.target)} columns, task binary has one; name "
                "one, or set another task"
            )
        for member in self.members:
            if isinstance(member, Member):
                _check_loss(member, self.task, self.data.weight)
            if member.class_weights is not None and self.task == "regression":
                raise ValueError(
                    f"member {member.name}: training.class_weights {short(member.class_weights)} "
                    "goes with classes and labels, not with task regression; leave it out"
                )
        if self.data.transform is not None and self.task != "regression":
            raise ValueError(
                f"data.transform: {self.data.transform} goes with task: regression, not "
                f"{self.task}; leave it out"
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


def _check_texts(member: AnyMember, data: Data) -> None:
    names = data.text
    if member.template is None:
        if len(names) > MOST_TEXTS:
            raise ValueError(
                f"data.text names {len(names)} columns, and member {member.name} has no template; "
                f"set data.template, such as '{{{names[0]}}}{{sep}}{{{names[1]}}}', or name one "
                "column, or two for a pair"
            )
    else:
        _check_template(member.template, data.named, f"member {member.name}: template")


def _check_template(template: str, names: Sequence[str], where: str) -> None:
    try:
        check_template(template, names)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _check_loss(member: Member, task: str, weight: str | None) -> None:
    loss, fitting = str(member.loss), losses_for(task)
    if loss not in fitting:
        complaint = "does not fit" if loss in TASKS_OF_LOSS else "is unknown for"
        raise ValueError(
            f"member {member.name}: training.loss {short(loss)} {complaint} task {task}; "
            + choices(loss, fitting)
        )
    if not member.trainer.get("label_smoothing_factor"):
        return
    # Trainer computes the loss of smoothed labels itself
    if loss != "cross_entropy":
        raise ValueError(
            "trainer.label_smoothing_factor goes with task: multiclass and training.loss: "
            f"cross_entropy, not {task} and {loss}; leave it out"
        )
    if weight is not None or member.class_weights is not None:
        setting = "training.class_weights" if weight is None else "data.weight"
        raise ValueError(
            f"trainer.label_smoothing_factor goes without weights, got {setting} "
            f"{short(weight or member.class_weights)}; leave one of them out"
        )


def _check_names(members: tuple[AnyMember, ...], blend: Blend) -> None:
    if len(set(blend.methods)) < len(blend.methods):
        raise ValueError(
            f"blend.methods repeats a name: {', '.join(blend.methods)}; list each once"
        )
    names: set[str] = set()
    ours = {"blend_mean", *(f"blend_{method}" for method in blend.methods)}
    for member in members:
        if member.name in names:
            raise ValueError(
                f"two members are called {member.name!r}; name one of them, "
                f"say {member.name + '-2'!r}, with {member.variation}"
            )
        names.add(member.name)
    for folder, name in ((external.folder, external.name) for external in blend.external):
        if re.fullmatch(NAME, name) is None:
            raise ValueError(
                f"blend.external: {short(folder)}: the name must match {NAME}; rename the folder"
            )
        if name in names or name.partition(".")[0] in ours:  # such as blend_convex.clip
            raise ValueError(
                f"blend.external: {folder} has the name of another predictor; rename the folder"
            )
        names.add(usable_name(name))
