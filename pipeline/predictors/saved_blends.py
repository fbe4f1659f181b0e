"""The blends of a competition as models: all that a submission for other rows needs.

    models/<competition>/blend/
      <method>.safetensors                     a fitted blender
      <method>.<post-processing>.safetensors   what is then applied to that blend
      leaderboard.csv                          the scores and the choice; its stamp has the rest

Letters: k new rows, m predictors, c columns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.rows import TestRows, Train
from pipeline.ensemble.leaderboard import CONSTANT
from pipeline.ensemble.saved import load_fitted, save_fitted
from pipeline.files.paths import blends_dir, history_path, leaderboard_path, predictor_dir
from pipeline.files.stamp import is_current, require_current, written_with_stamp
from pipeline.files.suggestions import choices
from pipeline.files.writing import save_csv, write_json, written_whole
from pipeline.predictors.board import (
    POSTPROCESSING,
    REMEDY,
    files_of_blend,
    has_its_postprocessing,
    made_from_of_blend,
    models_of,
    postprocessing_of,
    read_board,
    remedy_of,
)
from pipeline.predictors.predictions import write_predictions
from pipeline.scoring.metrics import distinct_values, metric_of
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config

if TYPE_CHECKING:
    from pipeline.ensemble.contest import Contest
    from pipeline.ensemble.fitted import Fitted


@dataclass(frozen=True, eq=False)
class SavedBlends:
    """The saved blends of a competition.

    Attributes:
        made_from: of the leaderboard; every blend has to be made from the same.
        ranking: names of blends, members and external predictors, best first.
        chosen: the blend to submit.
        models: hash of the trained models by member, in the order of the m predictors; None for an
            external predictor.
        columns: (c,) the prediction columns.
        classes: as in `competition.rows.Train`.
        y: (q,) distinct codes, or (q, c) distinct values of the training targets.
    """

    folder: Path
    made_from: Mapping[str, Any]
    ranking: tuple[str, ...]
    chosen: str
    models: Mapping[str, str | None]
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    y: NDArray[Any]

    def members_of(self, name: str) -> list[str]:
        """The members that a predictor needs: itself, or those with a weight in a blend.

        Raises:
            ValueError: there is no such predictor, or it needs an external one, which has no
                predictions of new rows.
        """
        if name not in self.ranking:
            raise ValueError(f"--predictor: no predictor {name!r}; {choices(name, self.ranking)}")
        needed = self._needed_by(name)
        external = self._external(needed)
        if external:
            ours = (n for n in self.ranking if not self._external(self._needed_by(n)))
            remedy = next((f"without it: --predictor {n}" for n in ours), "is one of your own")
            raise ValueError(
                f"{name}: these rows have no predictions of {', '.join(external)}, made elsewhere; "
                f"the best predictor {remedy}"
            )
        return needed

    def apply(self, name: str, predictions: Mapping[str, Floats]) -> Floats:
        """(k, c) predictions of new rows by a blend or a member, from those of `members_of`."""
        if name in self.models:
            return predictions[name]
        without_weight = np.zeros_like(next(iter(predictions.values())))
        stack = [predictions.get(member, without_weight) for member in self.models]
        result = np.stack(stack, axis=1)
        for step in self._steps(name):
            result = step.apply(result)
        return result

    def _external(self, names: list[str]) -> list[str]:
        return [name for name in names if self.models[name] is None]

    def _needed_by(self, name: str) -> list[str]:
        if name in self.models:
            return [name]
        uses = self._steps(name)[0].uses
        return [member for member, used in zip(self.models, uses, strict=True) if used]

    def _steps(self, name: str) -> list["Fitted"]:
        """The fitted blend, then its post-processing if it has one."""
        method = name.removeprefix("blend_")
        blender = method.partition(".")[0]
        steps = []
        for part in dict.fromkeys((blender, method)):
            path = self.folder / f"{part}.safetensors"
            require_current(path, made_from_of_blend(self.made_from, part), REMEDY)
            steps.append(load_fitted(path))
        return steps


def write_contest(
    config: Config, contest: "Contest", train: Train, test: TestRows, made_from: Mapping[str, Any]
) -> None:
    """Write every blend as a model and like any predictor, then the leaderboard beside both."""
    competition, columns = config.competition, train.columns
    boards = (blends_dir(competition) / "leaderboard.csv", leaderboard_path(competition))
    for path in boards:
        path.unlink(missing_ok=True)  # a run killed between blends must leave no leaderboard
    for candidate in contest.candidates:
        name, cross_fitted = candidate.entry.name, candidate.entry.predictions
        folder, own = predictor_dir(competition, name), made_from_of_blend(made_from, name)
        with written_with_stamp(_model_path(competition, name), own) as temporary:
            save_fitted(temporary, candidate.fitted[-1])
        about: dict[str, str | None] = {"postprocessing": None}
        if len(candidate.fitted) > 1:
            told = candidate.fitted[1].as_json(columns)
            about["postprocessing"] = write_json(folder / POSTPROCESSING, told)
        parts = (("oof", train.ids, cross_fitted), ("test", test.ids, candidate.test))
        for part, ids, values in parts:
            write_predictions(folder, part, ids, config.data.id_name, columns, values, own, **about)
    for method, table in contest.weights.items():
        weights = predictor_dir(competition, f"blend_{method}") / "weights.csv"
        with written_with_stamp(weights, made_from_of_blend(made_from, method)) as temporary:
            save_csv(temporary, table)
    chosen = contest.board.loc[contest.board["chosen"], "name"].item()
    about_models: dict[str, object] = {
        "columns": columns,
        "classes": train.classes,
        "y": np.unique(train.y) if train.classes else distinct_values(train.y),
        "members": {name: models_of(config, name) for name in made_from["predictors"]},
    }
    about_choice: dict[str, object] = {
        "postprocessing": postprocessing_of(predictor_dir(competition, chosen)).get("meaning"),
        "expected": contest.expected,
        "over_constant": contest.over_constant,
    }
    for path, record in zip(boards, (about_models, about_choice), strict=True):
        with written_with_stamp(path, made_from, **record) as temporary:
            save_csv(temporary, contest.board)
    _add_to_history(config, contest, made_from["predictors"])


def _add_to_history(config: Config, contest: "Contest", predictors: Iterable[str]) -> None:
    """Add the result as a line, so that experiments can be compared; no stage reads it."""
    path, chosen = history_path(config.competition), contest.board.query("chosen").iloc[0]
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "metric": metric_of(config.metric).label,
        "chosen": chosen["name"],
        "score": chosen["score"],
        "expected": contest.expected and contest.expected["score"],
        **chosen[["gain", "gain_low", "gain_high"]],
        "predictors": " ".join(predictors),
        "methods": " ".join(config.blend.methods),
    }
    before = path.read_bytes() if path.is_file() else b""
    if before and not before.endswith(b"\n"):  # an editor may save it so
        before += b"\n"
    added = pd.DataFrame([line]).to_csv(index=False, header=not before, lineterminator="\n")
    with written_whole(path) as temporary:
        temporary.write_bytes(before + added.encode())


def blends_are_current(competition: str, made_from: Mapping[str, object]) -> bool:
    """Whether the leaderboards and all blends are unchanged and made from exactly this."""
    board_path = leaderboard_path(competition)
    boards = (board_path, blends_dir(competition) / "leaderboard.csv")
    if not all(is_current(path, made_from) for path in boards):
        return False
    board = read_board(board_path)
    for name in board.loc[board["kind"] == "blend", "name"]:
        own = made_from_of_blend(made_from, name)
        files = [*files_of_blend(competition, name), _model_path(competition, name)]
        folder = predictor_dir(competition, name)
        if not (has_its_postprocessing(folder) and all(is_current(path, own) for path in files)):
            return False
    return True


def _model_path(competition: str, blend: str) -> Path:
    return blends_dir(competition) / f"{blend.removeprefix('blend_')}.safetensors"


def read_saved_blends(config: Config) -> SavedBlends:
    """The blends that blend saved.

    Raises:
        FileNotFoundError: there are none.
        ValueError: a file was changed, or the config has another task, metric or text.
    """
    folder = blends_dir(config.competition)
    path = folder / "leaderboard.csv"
    made_from = {"task": config.task, "metric": config.metric, "data.text": list(config.data.text)}
    stamp = require_current(path, made_from, remedy_of(path))
    board, about = read_board(path), stamp.about
    positive = config.data.positive
    if positive not in (None, *about["classes"][1:]):
        raise ValueError(
            f"data.positive: {positive}, but {path} is about the probability of "
            f"{about['classes'][1]!r}; leave data.positive out, or run train, predict and blend "
            "again"
        )
    return SavedBlends(
        folder,
        stamp.made_from,
        tuple(name for name in board["name"] if name != CONSTANT),
        board.loc[board["chosen"], "name"].item(),
        about["members"],
        tuple(about["columns"]),
        tuple(about["classes"]),
        np.array(about["y"]),
    )
