"""Fetch what is missing of a demo, then check that all that the config names is there and fits.

Reads the three tables and looks at the folds' file, backbones and external predictors; writes
data/<demo>/ and data/backbones/<demo>/ where they are missing, nothing else.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.competition.doubts import warnings_about
from pipeline.competition.folds import check_own_folds
from pipeline.competition.labels import check_positive, lines_about
from pipeline.competition.rows import TestRows, Train, read_test, read_train
from pipeline.competition.sample import read_sample
from pipeline.competition.submission import check_form
from pipeline.competition.targets import check_grades
from pipeline.demos.fetch import fetch_missing
from pipeline.files.paths import unit_dir
from pipeline.members.backbones import check_backbone
from pipeline.members.kinds import check_members
from pipeline.members.steps import steps_of_units
from pipeline.predictors.external import check_parts
from pipeline.predictors.predictions import read_predictions
from pipeline.settings.command import one_line_errors, parse
from pipeline.settings.config import Config


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, _ = parse(__doc__, argv)
        _check_choices(config)
        backbones = sorted({m.backbone for m in config.members if m.backbone})
        for line in fetch_missing(config.data.train, backbones):
            print(line, flush=True)
        _check_files(config, backbones)
        train, test = read_train(config.data, config.task), read_test(config.data)
        sample = read_sample(config.data, test.ids, config.task, train.columns, train.classes)
        asked = config.metric, config.submit.as_, sample, train.classes
        check_form(config.task, *asked)
        if config.task == "binary":
            check_positive(config.data.positive, *asked)
        check_grades(config.metric, config.data.train, train.classes)
        _check_external(config, train, test)
        for line in warnings_about(config.data, config.task, train, test):
            print(f"warning: {line}")
        for line in lines_about(config.task, *asked, config.data.sample_submission):
            print(line)
        n_rows = len(train.ids)
        if config.folds.path is None:  # how many folds that file has is for make_folds
            n_training = n_rows - n_rows // config.folds.n
            for line in steps_of_units(config.members, n_training):
                print(line)
        classes = f" of {len(train.classes)} classes" if train.classes else ""
        print(
            f"{config.competition}: {n_rows} training rows{classes}, {len(test.ids)} test rows; "
            f"to predict: {', '.join(sample.columns)}"
        )


def _check_choices(config: Config) -> None:
    """Names that only slow libraries know, as long as there is something left to train."""
    # the first fold's folder, which is there only when it is whole, stands for a member
    if all(unit_dir(config.competition, member.name, 0).is_dir() for member in config.members):
        return
    # imported here: torch and LightGBM take seconds to load, in vain once all members are trained
    from pipeline.ensemble.blenders import check_methods
    from pipeline.ensemble.postprocessing import check_postprocessing

    check_members(config.members, backbones={})
    check_methods(config.blend.methods)
    if config.blend.postprocessing != ("all",):
        check_postprocessing(config.blend.postprocessing)


def _check_files(config: Config, backbones: Sequence[str]) -> None:
    """What later stages read, found missing before anything long starts."""
    for name in backbones:
        check_backbone(name)
    check_own_folds(config.folds.path)
    check_parts([one.folder for one in config.blend.external])


def _check_external(config: Config, train: Train, test: TestRows) -> None:
    """Read the external predictors once, so that blend finds nothing wrong with them."""
    for one in config.blend.external:
        for part, ids in (("oof", train.ids), ("test", test.ids)):
            read_predictions(
                Path(one.folder),
                part,
                ids,
                train.columns,
                config.task,
                by_position=one.name in config.blend.by_position,
            )


if __name__ == "__main__":
    main()
