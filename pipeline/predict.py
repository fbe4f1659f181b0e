"""Predict the test rows with every trained member, from what models/ holds alone.

Reads models/<c>/ and the test table, never the training table; writes oof/<c>/<member>/test.csv.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.competition.rows import TestRows, read_test
from pipeline.files.paths import predictor_dir
from pipeline.files.stamp import is_current
from pipeline.members.jobs import Failure, run_all
from pipeline.members.kinds import plan_of, predict_unit
from pipeline.members.units import Unit, models_hash, read_run, units_of
from pipeline.predictors.predictions import write_predictions
from pipeline.scoring.tasks import TASKS, Floats
from pipeline.settings.command import one_line_errors, parse
from pipeline.settings.config import Config


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, _ = parse(__doc__, argv)
        test = read_test(config.data)
        members = {m.name: units_of(config.competition, m.name) for m in config.members}
        made_from_of = {
            name: {"models": models_hash(units), "test": test.sha256}
            for name, units in members.items()
        }
        todo = {
            name: units
            for name, units in members.items()
            if not is_current(
                predictor_dir(config.competition, name) / "test.csv", made_from_of[name]
            )
        }
        print(f"predict: {len(test.ids)} test rows, {len(todo)} of {len(members)} members to do")
        if todo:
            _predict(config, todo, made_from_of, test)


def _predict(
    config: Config,
    todo: dict[str, list[Unit]],
    made_from_of: dict[str, dict[str, str]],
    test: TestRows,
) -> None:
    jobs = config.jobs.model_dump()
    inputs: dict[Hashable, Any] = {}
    pieces, owners = [], []
    for name, units in todo.items():
        plan = plan_of(read_run(units[0])["fingerprint"])
        if plan.source not in inputs:
            inputs[plan.source] = plan.read_inputs(config.competition, test.texts, jobs)
        pieces += [(str(unit), (plan, unit, inputs[plan.source])) for unit in units]
        owners += [(name, unit.fold) for unit in units]
    by_fold: dict[str, dict[int, Floats]] = {name: {} for name in todo}

    def keep(i: int, result: Floats | Failure) -> None:
        """Write a member once all its units are there: whatever ends this run, it stands."""
        if isinstance(result, Failure):
            return
        name, fold = owners[i]
        by_fold[name][fold] = result
        if len(by_fold[name]) == len(todo[name]):
            _write_mean(config, todo[name], by_fold.pop(name), made_from_of[name], test)

    needs_torch = any(plan.needs_torch for _, (plan, *_) in pieces)
    results = run_all(
        predict_unit, pieces, **jobs, title="predict", needs_torch=needs_torch, on_result=keep
    )
    failures = [result for result in results if isinstance(result, Failure)]
    if failures:
        raise ValueError("; ".join(f"{failure.label}: {failure.reason}" for failure in failures))


def _write_mean(
    config: Config,
    units: list[Unit],
    by_fold: dict[int, Floats],
    made_from: dict[str, str],
    test: TestRows,
) -> None:
    """Average a member's folds on raw scale and write the predictor's test part."""
    run = read_run(units[0])
    task, folds = TASKS[run["task"]], [by_fold[fold] for fold in sorted(by_fold)]
    mean = task.to_prediction(np.mean([task.to_raw(fold) for fold in folds], axis=0))
    folder = predictor_dir(config.competition, units[0].member)
    about = (test.ids, config.data.id_name, run["columns"])
    write_predictions(folder, "test", *about, mean, made_from)
    tqdm.write(f"{folder}/test.csv: the mean of {len(folds)} folds")


if __name__ == "__main__":
    main()
