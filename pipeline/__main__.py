"""Run every stage in turn: from three CSVs and a YAML to a submission and a report.

    ./run_all.sh                                      the demo competition, configs/tweets.yaml
    ./run_all.sh --quick                              the same on 800 rows, two members, two folds
    ./run_all.sh configs/r8.yaml --training.epochs 1  another competition, with a setting changed
    ./run_all.sh --no-install configs/r8.yaml         with python3 and its packages as they are
    ./run_all.sh --list                               poolings, models, blenders, metrics

Every stage gets these words; `python -m pipeline.prepare --help` lists all settings.
"""

import sys
import time
from collections.abc import Sequence
from importlib import import_module

from pipeline.files.messages import duration
from pipeline.settings.command import configs_in, one_line_errors

STAGES = ("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
DEMO = "configs/tweets.yaml"


def main(argv: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h"} & set(words):
        print(__doc__)
        return
    if not configs_in(words) and all(word.startswith("-") for word in words[:1]):
        words = [DEMO, *words]
    with one_line_errors():
        for stage in STAGES:
            start = time.monotonic()
            import_module(f"pipeline.{stage}").main(words)
            print(f"{stage}: {duration(time.monotonic() - start)}\n", flush=True)


if __name__ == "__main__":
    main()
