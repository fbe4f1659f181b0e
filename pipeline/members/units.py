"""A unit, one member trained on one fold: its rows, its outcome, its folder.

    models/<competition>/<member>/fold<k>/
      weights.safetensors   fine-tuned: the trained tensors; the others are in models/<c>/backbones
      train.log             fine-tuned: the training log, one JSON per line
      model.joblib          classic: the fitted model
      run.json              settings, result and fingerprint
      oof.csv               predictions of the held-out rows
      reload_check.json     some held-out texts and their predictions

Nothing here imports torch, so a finished run starts fast. Letters: n rows, c prediction columns.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Required, TypedDict, cast

import numpy as np

from pipeline.files.hashes import file_sha256, sha256_of_texts
from pipeline.files.paths import backbones_dir, unit_dir
from pipeline.files.reading import read_csv_as_text, read_json
from pipeline.files.stamp import first_difference
from pipeline.scoring.tasks import Floats, Scaling
from pipeline.settings.config import Config
from pipeline.settings.fine_tuning import Options

RUN, OOF, LOG = "run.json", "oof.csv", "train.log"

Texts = Sequence[tuple[str, ...]]  # one text per row, or the two of a pair; {sep} is a NUL


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

    @property
    def remedy(self) -> str:
        return f"remove {self.folder} and run train again"


class Encoding(NamedTuple):
    """How a backbone's tokenizer encodes a unit's texts.

    A unit without a backbone has none: its inputs are the texts, and it needs no torch.
    """

    backbone: Path  # folder of the competition's copy
    max_length: int  # tokens of a text, or of a window of it
    truncation: str = "head"  # which tokens are kept
    n_windows: int = 1  # at most, of max_length tokens each
    overlap: float = 0.0  # share of a window that the next one repeats


class Run(TypedDict, total=False):
    """The entries of a unit's `run.json` that are read again; every unit has the required ones.

    Attributes:
        features: the columns of `data.features` that the unit reads.
        encoding: fields of `Encoding`, the backbone by its folder's name; that is null without one.
        unit_seconds: of the whole unit; `seconds` is the time of its fit alone.
        network: pooling and options, from which a fine-tuned unit is loaded.
        last_loss: of the training, null with smoothed labels; `constant_loss`: that of a constant
            prediction.
    """

    fingerprint: Required[dict[str, object]]
    n_folds: Required[int]
    kind: Required[str]
    template: Required[str | None]
    features: Required[list[str]]
    encoding: Required[Options]
    task: Required[str]
    columns: Required[list[str]]
    scaling: dict[str, Any] | None
    metric: str
    score: float
    weights_sha256: str
    unit_seconds: float
    device: Required[str]
    seconds: float | None
    network: Options
    last_loss: float | None
    constant_loss: float


NEEDED = Run.__required_keys__


def is_finished(unit: Unit, wanted: Mapping[str, object], *, overwrite: bool) -> bool:
    """Whether the unit is on disk with this fingerprint; another is an error unless `overwrite`."""
    if not unit.folder.exists():
        return False
    try:
        difference = first_difference(read_run(unit)["fingerprint"], wanted)
    except (FileNotFoundError, ValueError):  # of another version, or damaged
        if overwrite:
            return False
        raise
    if difference is not None and not overwrite:
        raise ValueError(
            f"{unit.folder}: {difference}; train into another competition name, remove the folder, "
            "or run train with --overwrite"
        )
    return difference is None


def read_run(unit: Unit) -> Run:
    """The unit's `run.json`; a ValueError if it lacks an entry that every unit has."""
    run = read_json(unit.folder / RUN, unit.remedy)
    missing = NEEDED - run.keys()
    if missing:
        raise ValueError(
            f"{unit.folder}: run.json has no {min(missing)!r}: another version wrote it; run "
            "train with --overwrite"
        )
    return cast(Run, run)


def encoding_of(unit: Unit) -> Encoding | None:
    """Encoding of a trained unit."""
    written = read_run(unit)["encoding"]
    if written["backbone"] is None:
        return None
    folder = backbones_dir(unit.competition) / written["backbone"]
    return Encoding(**{**written, "backbone": folder})


def scaling_of(unit: Unit) -> Scaling | None:
    """Scaling of a trained unit's targets; None if they were not scaled."""
    scaling = read_run(unit)["scaling"]
    return Scaling(**scaling) if scaling else None


def models_hash(units: Sequence[Unit]) -> str:
    """One hash of a member's trained models and of their fingerprint.

    Raises:
        ValueError: units were trained on different data, folds or settings.
    """
    runs = [read_run(unit) for unit in units]
    first = runs[0]["fingerprint"]
    for unit, run in zip(units, runs, strict=True):
        difference = first_difference(first, run["fingerprint"])
        if difference is not None:
            raise ValueError(f"{unit.folder}: fold 0 was {difference}; train the member again")
    return sha256_of_texts([json.dumps(first), *(run["weights_sha256"] for run in runs)])


def unchanged(unit: Unit, name: str, key: str) -> Path:
    """The path of a file in a unit's folder; a ValueError unless its hash is `key` of run.json."""
    path = unit.folder / name
    if not path.is_file() or file_sha256(path) != read_run(unit).get(key):
        raise ValueError(f"{path}: not there with the hash in run.json; {unit.remedy}")
    return path


def units_of(competition: str, member: str) -> list[Unit]:
    """The units of a trained member, as many as fold 0 says; a missing one is an error."""
    first = Unit(competition, member, 0)
    n_folds = read_run(first)["n_folds"] if first.folder.exists() else 1
    units = [Unit(competition, member, fold) for fold in range(n_folds)]
    for unit in units:
        if not unit.folder.exists():
            raise FileNotFoundError(f"{unit.folder}: not there; run train first")
    return units


def without_incomplete(config: Config) -> Config:
    """The config without members that jobs.minutes left incomplete; they are named in a line.

    Raises:
        ValueError: no predictor is left.
    """
    incomplete = []
    for member in config.members if config.jobs.minutes is not None else ():
        try:
            models_hash(units_of(config.competition, member.name))
        except (FileNotFoundError, ValueError):  # folds are missing, or of other settings
            incomplete.append(member.name)
    if not incomplete:
        return config
    members = tuple(m for m in config.members if m.name not in incomplete)
    told = f"not trained on all folds yet: {', '.join(incomplete)}"
    if not members and not config.blend.external:
        raise ValueError(f"{told}; run train again, or raise jobs.minutes")
    print(f"{told}; going on without")
    return config.model_copy(update={"members": members})


def read_oof(units: Sequence[Unit], columns: Sequence[str]) -> tuple[list[str], Floats]:
    """Ids and (n, c) predictions of all units' held-out rows; a ValueError if a file changed."""
    ids: list[str] = []
    parts = []
    for unit in units:
        table = read_csv_as_text(unchanged(unit, OOF, "oof_sha256"))
        ids += table.iloc[:, 0].tolist()
        cells = table.iloc[:, 1:][list(columns)]  # without the id, which may be named like a class
        parts.append(cells.to_numpy().astype(np.float64))
    return ids, np.concatenate(parts)
