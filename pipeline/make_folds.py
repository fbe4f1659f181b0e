"""Deal the training rows to folds once; if the folds are there, only check that they still fit.

Reads the training table and, under folds.scheme file, folds.path; writes folds/<c>.csv and
folds/<c>.json.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.competition.deal import SCHEMES
from pipeline.competition.folds import (
    REMEDY,
    check_values,
    dealt,
    origin_of,
    read_rows,
    warnings_about,
    with_oof,
    write_folds,
)
from pipeline.competition.rows import read_train
from pipeline.files.paths import folds_path
from pipeline.settings.command import stage


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv, "overwrite") as (config, flags):
        path = folds_path(config.competition)
        if path.is_file() and not flags.overwrite:
            train, folds = read_rows(config)
            if config.folds.path is not None and (folds != dealt(config, train)).any():
                raise ValueError(f"{config.folds.path}: not the folds in {path} any more; {REMEDY}")
            done = "still fits"
        else:
            train = read_train(config.data, config.task, config.folds.time)
            folds = dealt(config, train)
            check_values(folds, train)
            origin = origin_of(config.folds, train)
            write_folds(config.competition, train.ids, config.data.id_name, folds, origin)
            done = "written"
        for line in warnings_about(folds, train, config.task, config.folds.scheme):
            print(f"warning: {line}")
        _, with_folds = with_oof(train, folds)
        sizes = ", ".join(map(str, np.bincount(with_folds)))
        scheme, group = config.folds.scheme, config.data.group
        whole = f", each {group} in one fold" if group is not None and scheme in SCHEMES else ""
        line = f"{path}: {done}, {len(with_folds)} rows in folds of {sizes} ({scheme}{whole})"
        n_others = len(folds) - len(with_folds)
        print(f"{line}; the first {n_others} rows are for training only" if n_others else line)


if __name__ == "__main__":
    main()
