"""The section `data` of a competition's YAML: its tables and their columns."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from pipeline.files.dialect import Dialect
from pipeline.files.messages import short
from pipeline.settings.section import (
    Columns,
    Encoding,
    Ids,
    Section,
    Separator,
    Spelled,
    Template,
    Whole,
)
from pipeline.settings.template import check_template


class Data(Section):
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
        "'{title}{sep}{body}'; {sep} is the separator of the member's backbone, without one a line "
        "break; {{ is a brace; null: each column is a text",
    )
    features: Columns = Field(
        (), description="columns of numbers and categories, for lightgbm_text and for templates"
    )
    target: Columns = Field(
        ("target",),
        description="one or more target columns; of several targets or labels a row may lack some; "
        "multiclass: a column of classes, or a column for each class with its probability, 0 or 1 "
        "if it is certain",
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
    metric_weight: Spelled | None = Field(
        None,
        description="column of numbers from 0, the weights of the training rows in the metric; it "
        "may be that of weight",
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
    def weighted(self) -> set[str | None]:
        """The columns of weights."""
        return {self.weight, self.metric_weight}

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
            named = (name, self.group, *self.weighted, *self.named, *self.target)
            columns = [c for c in named if c is not None]
            repeated = sorted({c for c in columns if columns.count(c) > 1} - {self.group})
            if repeated:
                raise ValueError(
                    f"column {short(repeated[0])} is named for two purposes; name a column for each"
                )
        if self.template is not None:
            check_template("template", self.template, self.named)
        return self
