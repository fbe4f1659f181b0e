"""Write one predictor's test predictions as the file to upload, checked against the sample.

Reads oof/<c>/leaderboard.csv, the predictor's test.csv and the sample submission; writes
submissions/<c>/<predictor>.csv with a .json that says where it comes from, and, for the chosen
predictor, submissions/<c>/submission.csv.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.artifacts import (
    file_sha256,
    in_order_of,
    leaderboard_path,
    predictor_dir,
    read_csv_as_text,
    read_json,
    sha256_of_array,
    submission_path,
    write_csv,
    write_json,
)
from pipeline.board import board_source, external_folders, member_folders, read_board
from pipeline.competition import TestRows, Train, read_test, read_train
from pipeline.foreign import part_sha256
from pipeline.predictors import (
    check_made_for,
    check_newer_than_its_predictors,
    check_same_models,
    read_predictions,
)
from pipeline.provenance import provenance
from pipeline.sample_submission import Sample, read_sample
from pipeline.settings.command import one_line_errors, parse
from pipeline.settings.config import Config
from pipeline.submission import Cells, constant_label, submission_cells


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, flags = parse(__doc__, argv, "predictor")
        train, test = read_train(config.data, config.task), read_test(config.data)
        sample = read_sample(config.data, test.ids, config.task, train.columns, train.classes)
        predictor, standing = _standing(config, flags.predictor)
        _check_current(config, predictor, train, test)
        predictions = read_predictions(
            _folder(config, predictor),
            "test",
            test.ids,
            train.columns,
            config.task,
            by_position=predictor in config.blend.by_position,
        )
        predictions = predictions[
            in_order_of(sample.ids, test.ids, config.data.test, "correct the sample submission")
        ]
        cells = submission_cells(
            config.task,
            config.metric,
            config.submit.as_,
            predictions,
            sample=sample,
            columns=train.columns,
            classes=train.classes,
            y=train.y,
        )
        table = _table(sample, cells)
        path = submission_path(config.competition, predictor)
        _write(path, table, config, predictor, standing)
        if flags.predictor is None:
            path = submission_path(config.competition, "submission")
            _write(path, table, config, predictor, standing)
        label = constant_label(cells)
        if label is not None:
            print(f"warning: every row of {path} says {label!r}")
        print(f"{path}: {len(table)} rows of {', '.join(sample.header)}, from {predictor}")


def _standing(config: Config, predictor: str | None) -> tuple[str, dict[str, Any]]:
    """The predictor to submit, and its line of the leaderboard, if it is still about this one."""
    path = leaderboard_path(config.competition)
    if predictor is None:
        board_source(config)
    elif not (path.is_file() and path.with_suffix(".json").is_file()):
        return predictor, {}
    board = read_board(config.competition).set_index("name", drop=False)
    if predictor is None:
        predictor = str(board.index[board["chosen"]][0])
    if predictor in board.index:
        scored = read_json(path.with_suffix(".json"))["predictors"].get(predictor)
        if scored is not None and scored[0] != part_sha256(_folder(config, predictor), "oof"):
            return predictor, {}  # trained again since
        line = board.astype(object).where(board.notna(), None).loc[predictor]
        return predictor, {str(name): value for name, value in line.items()}
    if not _folder(config, predictor).is_dir():
        raise ValueError(
            f"--predictor: no predictor {predictor!r}; choose among: {', '.join(board['name'])}"
        )
    return predictor, {}


def _check_current(config: Config, predictor: str, train: Train, test: TestRows) -> None:
    """Refuse a predictor made for other targets or test rows, or before those that it blends."""
    folder = _folder(config, predictor)
    check_same_models(folder)
    if predictor in external_folders(config):
        return  # what it was made from stands elsewhere
    check_made_for(folder, "oof", {"targets": sha256_of_array(train.y)})
    check_made_for(folder, "test", {"test": test.sha256})
    check_newer_than_its_predictors(folder, partial(_folder, config))


def _folder(config: Config, predictor: str) -> Path:
    return external_folders(config).get(predictor, predictor_dir(config.competition, predictor))


def _table(sample: Sample, cells: Cells) -> pd.DataFrame:
    """The submission, column for column as the sample has it."""
    values = iter(cells[name] for name in sample.columns)
    columns = [
        list(sample.id_cells) if at == sample.id_at else next(values)
        for at in range(len(sample.header))
    ]
    table = pd.concat([pd.Series(column, dtype=object) for column in columns], axis=1)
    table.columns = pd.Index(sample.header)
    return table


def _write(
    path: Path, table: pd.DataFrame, config: Config, predictor: str, standing: dict[str, Any]
) -> None:
    write_csv(path, table)
    source = _folder(config, predictor) / "test.json"
    weights = source.with_name("weights.csv")
    write_json(
        path.with_suffix(".json"),
        {
            "predictor": predictor,
            "leaderboard": standing,
            "made_from": read_json(source) if source.is_file() else "a folder from elsewhere",
            "members": {
                name: _trained_with(folder) for name, folder in member_folders(config).items()
            },
            "weights": _weights(weights) if weights.is_file() else None,
            "config": config.model_dump(by_alias=True),
            "data": {
                path: file_sha256(Path(path))
                for path in (config.data.train, config.data.test, config.data.sample_submission)
            },
            "sha256": file_sha256(path),
            **provenance(),
        },
    )


def _trained_with(folder: Path) -> dict[str, Any] | None:
    """A member's settings when it was trained; the config may have changed since."""
    path = folder / "oof.json"
    return read_json(path).get("settings") if path.is_file() else None


def _weights(path: Path) -> dict[str, Any]:
    """{predictor: weight}, or {predictor: {target: weight}} where each target has its own."""
    table = read_csv_as_text(path).astype({"weight": float})
    if "target" not in table:
        return dict(zip(table["predictor"], table["weight"], strict=True))
    return {
        str(name): dict(zip(of_name["target"], of_name["weight"], strict=True))
        for name, of_name in table.groupby("predictor", sort=False)
    }


if __name__ == "__main__":
    main()
