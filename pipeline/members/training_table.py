"""What all units of a competition share: its training rows, folds and hashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.features import NO_COLUMNS, Columns, rows_of
from pipeline.competition.rows import Train, texts_by
from pipeline.competition.timeline import seen_by
from pipeline.files.hashes import sha256_of_array, sha256_of_texts
from pipeline.members.kinds import reads_features, settings_on_record
from pipeline.members.rates import for_backbone
from pipeline.members.units import Unit, UnitToTrain
from pipeline.scoring.names import Setting
from pipeline.settings.members import AnyMember, Member


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
        """The columns of `data.features`, if the member reads them."""
        return self.train.features if reads_features(member) else NO_COLUMNS

    def to_train(self, unit: Unit, **facts: Any) -> UnitToTrain:
        """The unit with the rows that it sees; `facts` are the fields that no table holds."""
        fold = self.folds == unit.fold
        held_out, member = np.flatnonzero(fold), facts["member"]
        return UnitToTrain(
            unit=unit,
            task=self.task,
            y=self.train.y,
            classes=self.train.classes,
            weights=self.train.weights,
            metric_weights=self.train.metric_weights,
            shares=self.train.shares,
            transform=self.transform,
            fold=fold,
            seen=seen_by(self.folds, unit.fold),
            ids=[self.train.ids[i] for i in held_out],
            texts=texts_by(member.template, self.train, held_out),
            features=rows_of(self.features_of(member), held_out),
            columns=list(self.train.columns),
            id_name=self.id_name,
            metric=self.metric,
            n_folds=self.n_folds,
            **facts,
        )

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
        fitted = member
        if isinstance(member, Member):
            fitted = for_backbone(member, backbones[member.backbone], self.task)
        record = {**settings_on_record(fitted), "backbone": backbone, **self.hashes}
        if member.template is not None:  # columns that it leaves out may change
            texts = texts_by(member.template, self.train)
            record["texts"] = sha256_of_texts(text for row in texts for text in row)
        record["features"] = self.train.sha256_of_features if reads_features(member) else None
        return record
