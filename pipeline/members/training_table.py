"""The training rows, folds and hashes that all units of a competition share; a unit's part of them.

Letters: n rows, c prediction columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.features import NO_COLUMNS, Columns, rows_of
from pipeline.competition.rows import Train, texts_by
from pipeline.competition.timeline import seen_by
from pipeline.files.hashes import sha256_of_array, sha256_of_texts
from pipeline.members.defaults import for_backbone
from pipeline.members.label_weights import label_weights
from pipeline.members.units import Encoding, Texts, Unit
from pipeline.scoring.names import Setting
from pipeline.scoring.tasks import Floats, Scaling
from pipeline.settings.members import AnyMember, ClassicMember, Member


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A competition's training rows and their (n,) folds, which all its units share."""

    competition: str
    task: str
    metric: Setting
    id_name: str
    train: Train
    folds: NDArray[np.int64]
    transform: str | None = None  # of the targets of a regression

    @property
    def n_folds(self) -> int:
        return int(self.folds.max()) + 1

    def units_of(self, member: AnyMember) -> list[Unit]:
        """One unit per fold, trained or not."""
        return [Unit(self.competition, member.name, fold) for fold in range(self.n_folds)]

    def features_of(self, member: AnyMember) -> Columns:
        """The columns of `data.features`, if the member reads them, not by a template alone."""
        if not isinstance(member, ClassicMember):
            return NO_COLUMNS
        from pipeline.members.classic.estimators import ESTIMATORS

        return self.train.features if ESTIMATORS[member.model].reads_features else NO_COLUMNS

    def to_train(self, unit: Unit, member: AnyMember, **facts: Any) -> "UnitToTrain":
        """The unit with its part of the table; `facts` are the fields that no table holds."""
        held_out = np.flatnonzero(self.folds == unit.fold)
        return UnitToTrain(
            unit,
            member,
            self._without_cells,
            ids=[self.train.ids[i] for i in held_out],
            texts=texts_by(member.template, self.train, held_out),
            features=rows_of(self.features_of(member), held_out),
            **facts,
        )

    @cached_property
    def _without_cells(self) -> "TrainingTable":
        """The same without the rows' text, of which a unit takes little."""
        rows = replace(self.train, ids=(), texts=(), features={}, groups=None)
        return replace(self, train=rows)

    @cached_property
    def hashes(self) -> dict[str, object]:
        """The part of a fingerprint that all members share: task, columns, hashes of the data."""
        weights, shares = self.train.weights, self.train.shares
        return {
            "task": self.task,
            "columns": list(self.train.columns),
            "ids": sha256_of_texts(self.train.ids),
            "texts": self.train.sha256_of_texts,
            "targets": sha256_of_array(self.train.y),
            "shares": None if shares is None else sha256_of_array(shares),
            "weights": None if weights is None else sha256_of_array(weights),
            "transform": self.transform,
            "folds": sha256_of_array(self.folds),
        }

    def fingerprint(self, member: AnyMember, backbones: Mapping[str, Path]) -> dict[str, object]:
        """All that determines the result of a member's units.

        It is only compared; nothing is built from it.
        """
        backbone = backbones[member.backbone].name if member.backbone else None
        if isinstance(member, Member):
            own = for_backbone(member, backbones[member.backbone], self.task).settings
        else:
            from pipeline.members.classic.estimators import options_of

            own = {**member.settings, "options": options_of(member)}
        record = {**own, "backbone": backbone, **self.hashes}
        if member.template is not None:  # columns that it leaves out may change
            texts = texts_by(member.template, self.train)
            record["texts"] = sha256_of_texts(text for row in texts for text in row)
        record["features"] = self.train.sha256_of_features if self.features_of(member) else None
        return record


@dataclass(frozen=True, eq=False)
class UnitToTrain:
    """A unit and all that its training takes but the inputs.

    Attributes:
        table: all n rows, without their ids, texts and features.
        ids: of the fold's rows, in their order, as `texts` and `features`.
        provenance: of the stage that trains; the worker's command line is another.
        overwrite: whether a unit with another fingerprint may be replaced.
        device: that made its embeddings; None: the worker's own.
    """

    unit: Unit
    member: AnyMember
    table: TrainingTable
    ids: list[str]
    texts: Texts
    features: Columns
    encoding: Encoding | None
    fingerprint: Mapping[str, object]
    provenance: Mapping[str, object]
    overwrite: bool
    device: str | None = None

    @property
    def training(self) -> NDArray[np.int64]:
        """Row numbers that the unit trains on, without rows of weight 0."""
        weights, seen = self.table.train.weights, seen_by(self.table.folds, self.unit.fold)
        return np.flatnonzero(seen if weights is None else seen & (weights > 0))

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Row numbers of the unit's fold."""
        return np.flatnonzero(self.table.folds == self.unit.fold)

    @property
    def label_weights(self) -> Floats | None:
        """Weights in the shape of the training rows' `y`, as from `label_weights`."""
        train, rows = self.table.train, self.training
        of_rows = None if train.weights is None else train.weights[rows]
        names = train.classes or train.columns
        return label_weights(train.y[rows], of_rows, self.member.class_weights, names)

    @property
    def scaling(self) -> Scaling | None:
        """Scale of the training rows' targets; None if the task does not scale them."""
        if self.table.task != "regression":
            return None
        return Scaling.of(self.table.train.y[self.training], self.table.transform)
