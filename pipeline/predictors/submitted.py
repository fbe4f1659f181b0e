"""What is submitted: a predictor or the weighted mean of several, and its record on disk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.files.hashes import file_sha256, sha256_of_texts
from pipeline.files.paths import submission_path
from pipeline.files.provenance import provenance
from pipeline.files.reading import read_csv_as_text
from pipeline.files.stamp import read_stamp, written_with_stamp
from pipeline.files.writing import save_csv
from pipeline.predictors.board import folder_of, member_folders, postprocessing_of
from pipeline.predictors.predictions import trained_settings
from pipeline.scoring.tasks import Floats, as_probabilities
from pipeline.settings.config import Config
from pipeline.settings.section import LONGEST_NAME


@dataclass(frozen=True)
class Combination:
    """Predictors with weights that sum to 1; a single predictor stays as it is."""

    weights: Mapping[str, float]

    @staticmethod
    def of(names: Sequence[str], weights: Sequence[float] | None) -> "Combination":
        """The combination that `--predictor` and `--weights` ask for; by default equal weights.

        Raises:
            ValueError: a name is repeated, or the numbers of names and weights differ.
        """
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"--predictor: {name!r} is named twice; give it one weight")
        if weights is None:
            weights = [1.0] * len(names)
        if len(weights) != len(names):
            raise ValueError(
                f"--weights: {len(weights)} for {len(names)} names; give one each, or "
                "leave --weights out for equal ones"
            )
        shares = np.divide(weights, np.max(weights))  # first, so that no sum overflows
        return Combination(dict(zip(names, (shares / shares.sum()).tolist(), strict=True)))

    @property
    def name(self) -> str:
        """The predictors as a file's name, with their weights unless they are equal.

        No predictor has this name, as theirs are without + and @.
        """
        is_equal = len(set(self.weights.values())) == 1
        parts = [name if is_equal else f"{name}@{w:.3g}" for name, w in self.weights.items()]
        name = "+".join(parts)
        if len(name) <= LONGEST_NAME:
            return name
        return f"{len(parts)}+predictors@{sha256_of_texts(parts)[:12]}"

    def mean(self, predictions: Mapping[str, Floats], task: str) -> Floats:
        """The weighted mean (n, c) of the predictors, on the prediction scale."""
        parts = [weight * predictions[name] for name, weight in self.weights.items()]
        return as_probabilities(task, np.sum(parts, axis=0))


def made_from_of(config: Config, predictors: Iterable[str]) -> dict[str, Any]:
    """`made_from` of the test predictions of a predictor, or of each of several, by name.

    An external predictor without a stamp has its folder.
    """
    origins = {}
    for name in predictors:
        folder = folder_of(config, name)
        stamp = read_stamp(folder / "test.csv")
        origins[name] = stamp.made_from if stamp else {"folder": str(folder)}
    return origins if len(origins) > 1 else next(iter(origins.values()))


def record_of(
    config: Config, combination: Combination, standings: Mapping[str, Mapping[str, object]]
) -> dict[str, Any]:
    """Scores, weights, settings and data behind a submission; `standings` are leaderboard lines."""
    data = config.data
    tables = (data.train, data.test, data.sample_submission)
    own = {name: _own_record(folder_of(config, name), standings[name]) for name in standings}
    several = {"weights": combination.weights, "predictors": own}
    return {
        "predictor": combination.name,
        **(several if len(own) > 1 else own[combination.name]),
        "members": {name: trained_settings(f) for name, f in member_folders(config).items()},
        "config": config.model_dump(by_alias=True),
        "data": {path: file_sha256(Path(path)) for path in tables},
        **provenance(),
    }


def _own_record(folder: Path, standing: Mapping[str, object]) -> dict[str, object]:
    blend = folder.name.partition(".")[0]  # of blend_convex.clip, whose weights it has
    weights = folder.parent / blend / "weights.csv"
    return {
        "leaderboard": standing,
        "postprocessing": postprocessing_of(folder) or None,
        "weights": _weights(weights) if read_stamp(weights) else None,  # ours have a stamp
    }


def write_submission(
    competition: str,
    predictor: str,
    table: pd.DataFrame,
    made_from: Mapping[str, object],
    record: Mapping[str, object],
    *,
    is_chosen: bool,
) -> Path:
    """Write a submission under its predictor's name, the chosen one as submission.csv too.

    Returns the last path.
    """
    for name in [predictor, "submission"] if is_chosen else [predictor]:
        path = submission_path(competition, name)
        with written_with_stamp(path, made_from, **record) as temporary:
            save_csv(temporary, table)
    return path


def _weights(path: Path) -> dict[str, object]:
    """{predictor: weight}, or {predictor: {target: weight}} if each target has its own weights."""
    table = read_csv_as_text(path).astype({"weight": float})
    if "target" not in table:
        return dict(zip(table["predictor"], table["weight"], strict=True))
    return {
        str(name): dict(zip(of_name["target"], of_name["weight"], strict=True))
        for name, of_name in table.groupby("predictor", sort=False)
    }
