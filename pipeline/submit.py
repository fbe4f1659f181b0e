"""Write a predictor's test predictions as the file to upload, checked against the sample.

Reads oof/<c>/leaderboard.csv, the predictor's two parts and the sample submission; writes
submissions/<c>/<predictor>.csv with a .json of its provenance, and, for the chosen predictor,
submissions/<c>/submission.csv. Of several predictors the mean is written, by --weights if given.
"""

from collections.abc import Sequence

from pipeline.competition.folds import read_rows, with_oof
from pipeline.competition.labels import read_form
from pipeline.competition.rows import TestRows, Train, read_test, read_train
from pipeline.competition.submission import submission
from pipeline.files.hashes import sha256_of_array
from pipeline.files.messages import listed, score_as_text
from pipeline.members.units import without_incomplete
from pipeline.predictors.board import (
    check_predicted,
    external_folders,
    folder_of,
    read_named,
    standing_of,
)
from pipeline.predictors.predictions import (
    check_made_for,
    check_newer_than_its_predictors,
    check_same_models,
)
from pipeline.predictors.submitted import Combination, made_from_of, record_of, write_submission
from pipeline.scoring.tasks import Floats
from pipeline.settings.command import stage
from pipeline.settings.config import Config


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv, "predictor", "weights") as (config, flags):
        config = without_incomplete(config)
        data = config.data
        if config.folds.time is None:
            train = read_train(data, config.task)
        else:  # the first rows, which have no OOF predictions, are left out
            train, _ = with_oof(*read_rows(config))
        test = read_test(data)
        form = read_form(config, train.columns, train.classes, test.ids)
        standings = dict(standing_of(config, name, train) for name in flags.predictor or [None])
        combination = Combination.of(flags.predictor or list(standings), flags.weights)
        for name in standings:
            _check_current(config, name, train, test)

        def combined(part: str, ids: Sequence[str]) -> Floats:
            read = {n: read_named(config, n, part, ids, train.columns) for n in standings}
            return combination.mean(read, config.task)

        predictions = combined("test", test.ids)
        table, notes = submission(form, predictions, test, data, train.columns, train.y)
        made_from = made_from_of(config, standings)
        record = record_of(config, combination, standings)
        if len(standings) > 1:
            target = train.target(config.task, config.metric)
            record["score"] = target.score(combined("oof", train.ids))
            score = score_as_text(record["score"])
            notes = [*notes, f"{target.metric.label} on held-out rows: {score}"]
        names, is_chosen = (config.competition, combination.name), flags.predictor is None
        path = write_submission(*names, table, made_from, record, is_chosen=is_chosen)
        rows = f"{len(table)} rows of {listed(form.sample.header)}"
        print(*notes, f"{path}: {rows}, from {combination.name}", sep="\n")


def _check_current(config: Config, predictor: str, train: Train, test: TestRows) -> None:
    """Refuse a predictor of other targets, texts or test rows, or older than those it blends."""
    folder = folder_of(config, predictor)
    if predictor not in external_folders(config):  # which may have stamps of another competition
        check_predicted([folder])
        data = {"targets": sha256_of_array(train.y), "texts": train.sha256_of_texts}
        check_made_for(folder, "oof", {"task": config.task, **data})
        check_made_for(folder, "test", {"test rows": test.sha256})
        check_newer_than_its_predictors(folder, lambda name: folder_of(config, name))
    check_same_models(folder)


if __name__ == "__main__":
    main()
