"""Whether the sections of a config agree: each check raises a ValueError with the remedy."""

import re
from collections.abc import Mapping, Sequence

from pipeline.files.messages import short
from pipeline.files.suggestions import choices
from pipeline.scoring.names import CLASSES, OWN, POOLED, TASKS_OF_METRIC, Setting
from pipeline.settings.blend import External
from pipeline.settings.data import Data
from pipeline.settings.fine_tuning import TASKS_OF_LOSS
from pipeline.settings.members import AnyMember, Member
from pipeline.settings.metric import has_weights, name_of
from pipeline.settings.section import NAME, usable_name
from pipeline.settings.template import check_template

MOST_TEXTS = 2  # without a template: two are a sentence pair


def check_sources(data: Data, members: Sequence[AnyMember], external: Sequence[External]) -> None:
    tables = (data.train, data.test, data.sample_submission)
    if len(set(tables)) < len(tables):
        raise ValueError(
            "data.train, data.test and data.sample_submission are three tables, got "
            f"{', '.join(map(short, tables))}; correct the path that is repeated"
        )
    if not (members or external):
        raise ValueError(
            "members: [] and blend.external: []; list the models to train, such as members: "
            "[{pooling: mean}], or folders of predictors to blend"
        )
    if data.train_rows is not None and external:
        raise ValueError(
            "blend.external holds predictions of the whole training table, of which "
            "data.train_rows keeps a part; leave one of them out, on the command line by "
            "--blend.external and no name, or by --data.train_rows null"
        )


def check_metric(setting: Setting, task: str) -> None:
    metric = name_of(setting)
    if metric in OWN and task not in OWN[metric]:
        raise ValueError(
            f"metric.takes: {metric.removeprefix('own_')} does not fit task {task}; "
            + choices(None, [n.removeprefix("own_") for n in OWN if task in OWN[n]])
        )
    if metric not in OWN:
        _check_fits("metric", metric, TASKS_OF_METRIC, task)
    if has_weights(setting) and (task in CLASSES or metric in POOLED):
        raise ValueError(
            f"metric.column_weights goes with a mean over columns, which {metric} of task "
            f"{task} is not; leave it out"
        )


def _check_fits(where: str, name: str, tasks_of: Mapping[str, Sequence[str]], task: str) -> None:
    fitting = [known for known, tasks in tasks_of.items() if task in tasks]
    if name not in fitting:
        complaint = "does not fit" if name in tasks_of else "is unknown for"
        raise ValueError(f"{where} {short(name)} {complaint} task {task}; {choices(name, fitting)}")


def check_task(task: str, data: Data, scheme: str) -> None:
    if task == "binary" and len(data.target) > 1:
        raise ValueError(
            f"data.target names {len(data.target)} columns, task binary has one; name "
            "one, or set another task"
        )
    if data.transform is not None and task != "regression":
        raise ValueError(
            f"data.transform: {data.transform} goes with task: regression, not {task}; leave it out"
        )
    if data.positive is not None and task != "binary":
        raise ValueError(f"data.positive goes with task: binary, not {task}; leave it out")
    if "group" in scheme and data.group is None:
        raise ValueError(
            f"folds.scheme {scheme} needs data.group; name the column whose values "
            "stay together, or choose one of: kfold, stratified"
        )


def check_member(member: AnyMember, task: str, data: Data) -> None:
    if member.template is not None:
        check_template(f"member {member.name}: template", member.template, data.named)
    elif len(data.text) > MOST_TEXTS:
        raise ValueError(
            f"data.text names {len(data.text)} columns, and member {member.name} has no template; "
            f"set data.template, such as '{{{data.text[0]}}}{{sep}}{{{data.text[1]}}}', or name "
            "one column, or two for a pair"
        )
    if isinstance(member, Member):
        _check_loss(member, task, data.weight)
        if member.reads_segment and member.template is None and len(data.text) == 1:
            raise ValueError(
                f"member {member.name}: options.segment names a part of a pair or template, and "
                f"data.text is one column, {short(data.text[0])}; leave it out"
            )
    if member.class_weights is not None and task == "regression":
        raise ValueError(
            f"member {member.name}: training.class_weights {short(member.class_weights)} "
            "goes with classes and labels, not with task regression; leave it out"
        )


def _check_loss(member: Member, task: str, weight: str | None) -> None:
    loss = str(member.loss)
    _check_fits(f"member {member.name}: training.loss", loss, TASKS_OF_LOSS, task)
    if not member.trainer.get("label_smoothing_factor"):
        return
    # Trainer computes the loss of smoothed labels itself
    if loss != "cross_entropy":
        raise ValueError(
            "trainer.label_smoothing_factor goes with task: multiclass and training.loss: "
            f"cross_entropy, not {task} and {loss}; leave it out"
        )
    if weight is not None or member.class_weights is not None:
        setting = "training.class_weights" if weight is None else "data.weight"
        raise ValueError(
            f"trainer.label_smoothing_factor goes without weights, got {setting} "
            f"{short(weight or member.class_weights)}; leave one of them out"
        )


def check_names(
    members: Sequence[AnyMember], methods: Sequence[str], external: Sequence[External]
) -> None:
    names: set[str] = set()
    ours = {"blend_mean", *(f"blend_{method}" for method in methods)}
    for member in members:
        if member.name in names:
            raise ValueError(
                f"two members are called {member.name!r}; name one of them, "
                f"say {member.name + '-2'!r}, with {member.variation}"
            )
        names.add(member.name)
    for predictor in external:
        folder, name = predictor.folder, predictor.name
        if re.fullmatch(NAME, name) is None:
            raise ValueError(
                f"blend.external: {short(folder)}: the name must match {NAME}; rename the folder"
            )
        if name in names or name.partition(".")[0] in ours:  # such as blend_convex.clip
            raise ValueError(
                f"blend.external: {folder} has the name of another predictor; rename the folder"
            )
        names.add(usable_name(name))
