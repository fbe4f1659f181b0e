"""Fetch what is missing of a demo, then check that all that the config names is there and fits.

Reads the three tables and looks at the folds' file, backbones and foreign predictors; writes
data/<demo>/ and data/backbones/<demo>/ where they are missing, nothing else.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path

from pipeline.competition.doubts import warnings_about
from pipeline.competition.labels import check_positive, lines_about
from pipeline.competition.rows import Train, read_test, read_train
from pipeline.competition.sample import read_sample
from pipeline.competition.submission import check_form
from pipeline.competition.targets import as_number
from pipeline.demos.fetch import DEMO_BACKBONES, DEMOS, fetch_backbone, fetch_demo
from pipeline.files.paths import unit_dir
from pipeline.members.backbones import demo_backbone_dir
from pipeline.members.steps import epochs_for, steps_an_epoch
from pipeline.predictors.external import part_path
from pipeline.predictors.predictions import read_predictions
from pipeline.settings.command import one_line_errors, parse
from pipeline.settings.config import Config, Data
from pipeline.settings.members import Member

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, _ = parse(__doc__, argv)
        _check_choices(config)
        _fetch_demos(config.data, {m.backbone for m in config.members if m.backbone})
        _check_files(config)
        train = read_train(config.data, config.task)
        test = read_test(config.data)
        sample = read_sample(config.data, test.ids, config.task, train.columns, train.classes)
        asked = config.metric, config.submit.as_, sample, train.classes
        check_form(config.task, *asked)
        if config.task == "binary":
            check_positive(config.data.positive, *asked)
        _check_grades(config, train)
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
        for line in warnings_about(config.data, config.task, train, test):
            print(f"warning: {line}")
        for line in lines_about(config.task, *asked, config.data.sample_submission):
            print(line)
        for line in _steps_of_units(config, len(train.ids)):
            print(line)
        classes = f" of {len(train.classes)} classes" if train.classes else ""
        print(
            f"{config.competition}: {len(train.ids)} training rows{classes}, {len(test.ids)} test "
            f"rows; to predict: {', '.join(sample.columns)}"
        )


def _check_choices(config: Config) -> None:
    """Names that only slow libraries know, as long as there is something left to train."""
    # the first fold's folder, which is there only when it is whole, stands for a member
    if all(unit_dir(config.competition, member.name, 0).is_dir() for member in config.members):
        return
    # imported here: torch and LightGBM take seconds to load, in vain once all members are trained
    from pipeline.ensemble.blenders import check_methods
    from pipeline.ensemble.postprocessing import check_decisions

    for member in config.members:
        if isinstance(member, Member):  # reading the config has checked the classic ones
            from pipeline.members.bert.poolings import pooling_options

            _check_options(member, pooling_options(member.pooling))
            if member.trainer:
                _check_trainer(member)
    check_methods(config.blend.methods)
    if config.blend.decisions != ("all",):
        check_decisions(config.blend.decisions)


def _check_trainer(member: Member) -> None:
    # imported here: it takes seconds, and few configs set anything of the Trainer's own
    from transformers import TrainingArguments

    known = [field.name for field in fields(TrainingArguments)]
    for key in member.trainer:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            raise ValueError(
                f"member {member.name}: training.trainer has {key!r}, which is no field of "
                f"transformers.TrainingArguments{f'; did you mean {near[0]!r}?' if near else ''}"
            )


def _check_grades(config: Config, train: Train) -> None:
    """Kappa counts the steps between grades, which words sorted by the alphabet do not have."""
    words = [name for name in train.classes if as_number(name) is None]
    if config.metric == "qwk" and words:
        raise ValueError(
            f"{config.data.train}: metric qwk needs grades that are numbers, got {words[0]!r}; "
            "write them as numbers in their order"
        )


def _check_options(member: Member, known: Sequence[str]) -> None:
    for option in member.options:
        if option not in known:
            raise ValueError(
                f"member {member.name}: pooling {member.pooling} has no option {option!r}; "
                f"it takes {', '.join(known) or 'none'}"
            )


def _steps_of_units(config: Config, n_rows: int) -> list[str]:
    """How long the fine-tuned members train, a line for those that train alike."""
    if config.folds.path is not None:
        return []  # how many folds that file has is for make_folds
    n_training = n_rows - n_rows // config.folds.n
    members: dict[tuple[float, int], list[str]] = {}
    for member in config.members:
        if isinstance(member, Member):
            epochs = epochs_for(member.epochs, n_training, member.batch_size)
            members.setdefault((epochs, member.batch_size), []).append(member.name)
    return [
        f"training: {math.ceil(epochs * steps_an_epoch(n_training, batch_size))} steps a unit, "
        f"{epochs:g} epochs of {n_training} rows in batches of {batch_size}: {', '.join(names)}"
        for (epochs, batch_size), names in members.items()
    ]


def _fetch_demos(data: Data, backbones: set[str]) -> None:
    folder = Path(data.train).parent
    if (
        folder.name in DEMOS
        and Path(data.train) == Path("data", folder.name, "train.csv")
        and not Path(data.train).exists()
    ):
        print(f"fetching the demo {folder.name} into {folder}")
        fetch_demo(folder.name, folder)
    for name in sorted(backbones & DEMO_BACKBONES.keys()):
        if not demo_backbone_dir(name).exists():
            print(f"fetching the backbone {name} into {demo_backbone_dir(name)}")
            fetch_backbone(name, demo_backbone_dir(name))


def _check_files(config: Config) -> None:
    """What later stages read, found missing before anything long starts."""
    for name in sorted({m.backbone for m in config.members if m.backbone}):
        _check_backbone(name)
    if config.folds.path is not None and not Path(config.folds.path).is_file():
        raise FileNotFoundError(f"folds.path: {config.folds.path}: no such file; correct the path")
    for one in config.blend.external:
        for part in ("oof", "test"):
            try:
                part_path(Path(one.folder), part)
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"blend.external: {error}; put them there or leave it out"
                ) from None


def _check_backbone(name: str) -> None:
    folder = demo_backbone_dir(name) if name in DEMO_BACKBONES else Path(name)
    if not folder.is_dir():
        if HUB_ID.fullmatch(name) is None:
            raise FileNotFoundError(
                f"backbone: no folder {name!r}; name a model's folder, a hub id or a demo "
                f"({', '.join(sorted(DEMO_BACKBONES))})"
            )
        return  # an id of the hub, which only train asks: prepare works offline
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"backbone: {folder} holds no config.json; name a model's folder")


if __name__ == "__main__":
    main()
