"""Deal the training rows to folds once; if the folds are there, only check that they still fit.

Reads the training table and, under folds.scheme file, folds.path; writes folds/<c>.csv and
folds/<c>.json.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.deal import make_folds
from pipeline.competition.folds import (
    REMEDY,
    check_values,
    origin_of,
    read_folds,
    read_own_folds,
    warnings_about,
    with_oof,
    write_folds,
)
from pipeline.competition.rows import Train, joined_unordered, read_train
from pipeline.competition.timeline import time_folds
from pipeline.files.paths import folds_path
from pipeline.settings.command import stage
from pipeline.settings.config import Config


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv, "overwrite") as (config, flags):
        train = read_train(config.data, config.task, config.folds.time)
        path = folds_path(config.competition)
        origin = origin_of(config.folds, train)
        if path.is_file() and not flags.overwrite:
            folds = read_folds(config.competition, train.ids, origin)
            if config.folds.path is not None and (folds != _dealt(config, train)).any():
                raise ValueError(f"{config.folds.path}: not the folds in {path} any more; {REMEDY}")
            done = "still fits"
        else:
            folds = _dealt(config, train)
            check_values(folds, train)
            write_folds(config.competition, train.ids, config.data.id_name, folds, origin)
            done = "written"
        for line in warnings_about(folds, train, config.task, config.folds.scheme):
            print(f"warning: {line}")
        _, with_folds = with_oof(train, folds)
        sizes = ", ".join(map(str, np.bincount(with_folds)))
        line = f"{path}: {done}, {len(with_folds)} rows in folds of {sizes} ({config.folds.scheme})"
        n_others = len(folds) - len(with_folds)
        print(f"{line}; the first {n_others} rows are for training only" if n_others else line)


def _dealt(config: Config, train: Train) -> NDArray[np.int64]:
    settings = config.folds
    if settings.path is not None:
        return read_own_folds(settings.path, train.ids, config.data.train_rows is not None)
    if train.times is not None:
        return time_folds(train.times, settings.n)
    return make_folds(
        settings.scheme,
        train.y,
        task=config.task,
        n=settings.n,
        seed=settings.seed,
        texts=joined_unordered(train.texts),
        groups=train.groups,
        similar=settings.similar,
    )


if __name__ == "__main__":
    main()
