"""Blend the predictors by every method, score each blend on rows it did not see, choose one.

Reads the training table, folds/<c>.csv and oof/<c>/<member>/{oof,test}.csv, and the folders of
blend.external; writes oof/<c>/blend_<method>/{oof,test}.csv (weights.csv too, if it has any), the
same and postprocessing.json for blend_<method>.<post-processing>, the fitted blends in
models/<c>/blend/, and oof/<c>/leaderboard.csv, whose stamp says what to expect of the choice. Adds
a line to oof/<c>/history.csv.
"""

from collections.abc import Sequence

import joblib

from pipeline.competition.folds import read_rows, with_oof
from pipeline.competition.rows import read_test
from pipeline.files.paths import leaderboard_path
from pipeline.files.stamp import require_current
from pipeline.members.units import without_incomplete
from pipeline.predictors.board import made_from_of_blends, read_board, trained_otherwise
from pipeline.predictors.saved_blends import blends_are_current, write_contest
from pipeline.predictors.stack import lines_about_duplicates, read_stack, with_doubts
from pipeline.reporting.screen import summary
from pipeline.settings.command import stage


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv) as (config, _):
        config = without_incomplete(config)
        train, folds = with_oof(*read_rows(config))
        test = read_test(config.data)
        target = train.target(config.task, config.metric)
        stack = read_stack(config, train, test, folds)
        print(
            f"blend: {len(stack.names)} predictors, {len(stack.oof)} training rows"
            f"{' with OOF predictions' if config.folds.time else ''}, "
            f"{len(stack.test)} test rows"
        )
        stack, doubts = with_doubts(stack, target)
        for line in [*trained_otherwise(config), *lines_about_duplicates(stack), *doubts]:
            print(f"warning: {line}")
        made_from = made_from_of_blends(config, train, test, folds, stack.kinds)
        if not blends_are_current(config.competition, made_from):
            # imported here: LightGBM takes a second to load, in vain where all is current
            from pipeline.ensemble.contest import cost_of_own, hold_contest, methods_that_fit

            wanted = config.blend.methods, config.blend.postprocessing
            methods = methods_that_fit(*wanted, target, folds)
            cost = cost_of_own(methods, stack.oof, target, folds)
            for line in [*methods.notes, *([cost] if cost else [])]:
                print(f"blend: {line}", flush=True)
            contest = hold_contest(
                methods,
                stack.entries,
                stack.test,
                target,
                folds,
                train.columns,
                seed=config.seed,
                n_jobs=config.jobs.n_jobs or joblib.cpu_count(),
            )
            write_contest(config, contest, train, test, made_from)
        path = leaderboard_path(config.competition)
        stamp = require_current(path, made_from, "run blend again")
        board = read_board(path)
        print(f"\n{summary(board, target.metric, **stamp.about)}\n{path}: all columns\n")


if __name__ == "__main__":
    main()
