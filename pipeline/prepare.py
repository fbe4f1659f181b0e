"""Fetch the missing files of a demo, then check everything that the config names.

Reads the three tables, the folds' file, backbones and external predictors; writes data/<demo>/ and
data/backbones/<demo>/ if they are missing, nothing else.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.competition.doubts import warnings_about
from pipeline.competition.features import lines_about as lines_about_features
from pipeline.competition.folds import dealt, with_oof
from pipeline.competition.labels import check_positive, lines_about, read_form
from pipeline.competition.learnable import check_learnable
from pipeline.competition.rows import read_test, read_train
from pipeline.competition.tables import check_there
from pipeline.competition.targets import check_metric_takes, lines_about_missing
from pipeline.demos.fetch import fetch_missing, is_demo
from pipeline.ensemble.fitted import check_names
from pipeline.files.messages import listed
from pipeline.files.paths import unit_dir
from pipeline.files.provenance import not_as_pinned
from pipeline.members.backbones import local_backbone
from pipeline.members.defaults import rates_of_members, steps_of_units
from pipeline.members.kinds import check_members
from pipeline.predictors.stack import read_stack
from pipeline.scoring.trial import try_metric
from pipeline.settings.blend import Blend
from pipeline.settings.command import one_line_errors, parse


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, _ = parse(__doc__, argv)
        data = config.data
        if differ := not_as_pinned(Path(__file__).parents[1] / "requirements.txt"):
            print(f"note: installed, and (tested): {', '.join(differ)}; going on with these")
        # units are written whole, so the first fold's folder stands for a trained member
        is_trained = all(unit_dir(config.competition, m.name, 0).is_dir() for m in config.members)
        _check_names(config.blend)
        if not is_demo(data.train):  # whose tables may yet be fetched
            for setting in ("train", "test", "sample_submission"):
                check_there(getattr(data, setting), f"data.{setting}")
        if not is_trained:  # torch takes seconds to load
            check_members(config.members, backbones={})
        backbones = sorted({m.backbone for m in config.members if m.backbone})
        for line in fetch_missing(data.train, backbones):
            print(line, flush=True)
        folders = {name: folder for name in backbones if (folder := local_backbone(name))}
        train, test = read_train(data, config.task, config.folds.time), read_test(data)
        scored, n_blocks = train, config.folds.n
        if config.folds.path is not None or config.folds.time is not None:
            folds = dealt(config, train)
            scored, _ = with_oof(train, folds)
            n_blocks = len(set(folds.tolist()))  # by time, with that for training only
        form = read_form(config, train.columns, train.classes, test.ids)
        check_positive(data.positive, form)
        check_metric_takes(config.metric, data.train, train.y, train.classes)
        check_learnable(config, train)
        doubt = try_metric(train.target(config.task, config.metric), len(train.columns))
        if config.blend.external:  # what blend would say of them; folds may not be dealt yet
            alone = config.model_copy(update={"members": ()})
            read_stack(alone, scored, test, np.zeros(len(scored.ids), dtype=np.int64))
        if not is_trained:
            check_members(config.members, folders)
        for line in [*([doubt] if doubt else []), *warnings_about(data, config.task, train, test)]:
            print(f"warning: {line}")
        for line in lines_about_features(train.features, test.features):
            print(line)
        lines = lines_about_missing(train.y, train.columns)
        lines += lines_about(form, data.sample_submission)
        n_rows = len(train.ids)
        lines += rates_of_members(config.members, folders, config.task)
        n_trained = n_rows if train.weights is None else int((train.weights > 0).sum())
        lines += steps_of_units(config.members, n_trained - n_trained // n_blocks)
        classes = f" of {len(train.classes)} classes" if train.classes else ""
        print(
            *lines,
            f"{config.competition}: {n_rows} training rows{classes}, {len(test.ids)} test rows; "
            f"to predict: {listed(form.sample.columns)}",
            sep="\n",
        )


def _check_names(blend: Blend) -> None:
    """Check the names of blenders and post-processing."""
    # imported here: LightGBM takes seconds to load, in vain for the default blenders
    if not set(blend.methods) <= set(Blend().methods):
        from pipeline.ensemble.blenders import BLENDERS

        check_names("blend.methods", blend.methods, BLENDERS)
    if blend.postprocessing != ("all",):
        from pipeline.ensemble.postprocessing import POSTPROCESSING

        check_names("blend.postprocessing", blend.postprocessing, POSTPROCESSING)


if __name__ == "__main__":
    main()
