"""A unit: one member trained on one fold, what it takes and gives, and the folder that keeps it.

    models/<competition>/<member>/fold<k>/
      weights.safetensors   fine-tuned: the trained tensors; the rest stands in models/<c>/backbones
      train.log             fine-tuned: the training's log, a JSON a line
      model.joblib          classic: the fitted model
      run.json              what was trained, how, with what result, and its fingerprint
      oof.csv               predictions of the fold's rows
      reload_check.json     some of those rows' texts and what was predicted for them

Nothing here imports torch: whether a unit is finished is known without it. Letters: n rows, c
prediction columns.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pipeline.files.hashes import sha256_of_array, sha256_of_texts
from pipeline.files.paths import backbones_dir, unit_dir
from pipeline.files.reading import read_csv_as_text, read_json
from pipeline.files.stamp import first_difference
from pipeline.scoring.tasks import Floats, Scaling

RUN, OOF = "run.json", "oof.csv"

Texts = Sequence[tuple[str, ...]]  # a row has one text, or the two of a pair


@dataclass(frozen=True)
class Unit:
    competition: str
    member: str
    fold: int

    def __str__(self) -> str:
        return f"{self.member} fold {self.fold}"

    @property
    def folder(self) -> Path:
        return unit_dir(self.competition, self.member, self.fold)


@dataclass(frozen=True)
class Encoding:
    """How a unit's texts become its inputs; units of one kind and encoding share them.

    Attributes:
        backbone: folder of the competition's copy; None: the inputs are the texts.
        max_length: tokens kept of a text; None without a backbone.
    """

    backbone: Path | None
    max_length: int | None

    @property
    def needs_torch(self) -> bool:
        """Whether a unit computes with torch, on a GPU if there is one."""
        return self.backbone is not None

    @property
    def on_record(self) -> dict[str, str | int | None]:
        """What `run.json` says of it, for those who load the unit."""
        name = None if self.backbone is None else self.backbone.name
        return {"backbone": name, "max_length": self.max_length}


@dataclass(frozen=True, eq=False)
class UnitRows:
    """The rows that a unit sees.

    Attributes:
        y: targets of all training rows, as in `scoring.tasks`.
        fold: (n,) bool, the rows of the unit's fold.
        ids: ids of the fold's rows, in their order.
        texts: their texts.
        columns: the c prediction columns.
        id_name: name of the id's column.
    """

    task: str
    y: NDArray[Any]
    fold: NDArray[np.bool_]
    ids: list[str]
    texts: list[tuple[str, ...]]
    columns: list[str]
    id_name: str

    @property
    def training(self) -> NDArray[np.int64]:
        """Row numbers that the unit learns from."""
        return np.flatnonzero(~self.fold)

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Row numbers of its fold."""
        return np.flatnonzero(self.fold)

    def scaling(self) -> Scaling | None:
        """Of the rows that the unit learns from; None where targets are not scaled."""
        return Scaling.of(self.y[self.training]) if self.task == "regression" else None


@dataclass(frozen=True, eq=False)
class Outcome:
    """What training a unit gave.

    Attributes:
        predictions: (n, c) of the held-out rows.
        model: name of the file in the unit's folder that holds what was trained.
        scaling: of the targets.
        device: what made the predictions, "cpu" or "cuda".
        facts: what else `run.json` is to say; what the kind needs to load the unit among it.
    """

    predictions: Floats
    model: str
    scaling: Scaling | None
    device: str
    facts: Mapping[str, object]


def fingerprint(
    settings: Mapping[str, object],
    *,
    backbone: str | None,
    task: str,
    ids: Sequence[str],
    texts: Texts,
    y: NDArray[Any],
    columns: Sequence[str],
    folds: NDArray[np.int64],
) -> dict[str, object]:
    """All that determines a unit's result: settings as they are, data as hashes.

    It is a record that is compared; nothing is built from it.

    Args:
        backbone: hash of its files, instead of the name that the settings have.
    """
    return {
        **settings,
        "backbone": backbone,
        "task": task,
        "columns": list(columns),
        "ids": sha256_of_texts(ids),
        "texts": sha256_of_texts(part for text in texts for part in text),
        "targets": sha256_of_array(y),
        "folds": sha256_of_array(folds),
    }


def is_finished(unit: Unit, wanted: Mapping[str, object], *, overwrite: bool) -> bool:
    """Whether the unit stands there with this fingerprint.

    Raises:
        ValueError: it stands there with another one, and is not to be overwritten.
    """
    if not unit.folder.exists():
        return False
    difference = first_difference(read_run(unit)["fingerprint"], wanted)
    if difference is not None and not overwrite:
        raise ValueError(
            f"{unit.folder}: {difference}; train into another competition name, remove the folder, "
            "or run train with --overwrite"
        )
    return difference is None


def read_run(unit: Unit) -> dict[str, Any]:
    """What `run.json` says of a trained unit."""
    return read_json(unit.folder / RUN)


def encoding_of(unit: Unit) -> Encoding:
    """How a trained unit takes its texts."""
    written = read_run(unit)["encoding"]
    name = written["backbone"]
    backbone = None if name is None else backbones_dir(unit.competition) / name
    return Encoding(backbone, written["max_length"])


def scaling_of(unit: Unit) -> Scaling | None:
    """Of a trained unit's targets; None where they were not scaled."""
    scaling = read_run(unit)["scaling"]
    return Scaling(**scaling) if scaling else None


@contextmanager
def locked(unit: Unit) -> Iterator[None]:
    """Keep other runs out of a unit's folder; the lock goes with the process that holds it."""
    unit.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(unit.folder.with_name(f".{unit.folder.name}.lock")):
        yield


def models_hash(units: Sequence[Unit]) -> str:
    """One hash of a member's trained models and of all that determined them, ids and columns too.

    Raises:
        FileNotFoundError: a unit is not there.
        ValueError: units were trained on different data, folds or settings.
    """
    runs = [read_run(unit) for unit in units]
    first = runs[0]["fingerprint"]
    for unit, run in zip(units, runs, strict=True):
        difference = first_difference(first, run["fingerprint"])
        if difference is not None:
            raise ValueError(f"{unit.folder}: fold 0 was {difference}; train the member again")
    return sha256_of_texts([json.dumps(first), *(run["weights_sha256"] for run in runs)])


def units_of(competition: str, member: str) -> list[Unit]:
    """The units of a trained member, as many as its first one says there are folds.

    Raises:
        FileNotFoundError: one of them is missing.
    """
    first = Unit(competition, member, 0)
    if not first.folder.exists():
        raise FileNotFoundError(f"{first.folder}: not there; run train first")
    n_folds = read_run(first)["n_folds"]
    units = [Unit(competition, member, fold) for fold in range(n_folds)]
    for unit in units:
        if not unit.folder.exists():
            raise FileNotFoundError(
                f"{unit.folder}: not there, {n_folds} folds are needed; run train again"
            )
    return units


def read_oof(units: Sequence[Unit], columns: Sequence[str]) -> tuple[list[str], Floats]:
    """Ids and predictions of all units' held-out rows, fold after fold."""
    found_ids: list[str] = []
    parts = []
    for unit in units:
        table = read_csv_as_text(unit.folder / OOF)
        found_ids += table.iloc[:, 0].tolist()
        cells = table.iloc[:, 1:][list(columns)]  # without the id, whose name may be a class's
        parts.append(cells.to_numpy().astype(np.float64))
    return found_ids, np.concatenate(parts)
