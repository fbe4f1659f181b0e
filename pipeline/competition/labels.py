"""How a submission spells its labels: as the training file does, or as the sample certainly asks.

Also what the user should know of it: whose probability is written, and cells of the sample that
are nothing that we would write.
"""

from collections.abc import Iterator, Sequence

from pipeline.competition.sample import Sample
from pipeline.competition.spelling import in_print, spelling_key
from pipeline.competition.targets import as_number, says_yes_or_no
from pipeline.files.messages import first_few
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.tasks import TASKS

NO_AND_YES = [
    ("0", "1"),
    ("False", "True"),
    ("false", "true"),
    ("FALSE", "TRUE"),
    ("no", "yes"),
    ("No", "Yes"),
    ("NO", "YES"),
    ("0.0", "1.0"),
]


def wants_labels(metric: str, form: str) -> bool:
    return form == "labels" or (form == "auto" and METRICS[metric].decides)


def labels_as_sampled(sample: Sample, classes: Sequence[str]) -> tuple[str, ...] | None:
    """The classes as the sample spells them; None if its cells are no spellings of them.

    A sample may show one class only, so a spelling counts as certain when one rule, such as whole
    numbers for 1.0 or 0 and 1 for False and True, gives every cell.
    """
    for spelled in _spellings(classes):
        if len(set(spelled)) == len(classes) and sample.cells <= set(spelled):
            return spelled
    return None


def _spellings(classes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    yield tuple(classes)
    for style in (str.strip, str.lower, str.upper, str.capitalize, str.title):
        yield tuple(style(name.strip()) for name in classes)
    numbers = [number for name in classes if (number := as_number(name)) is not None]
    if len(numbers) == len(classes) and all(number.is_integer() for number in numbers):
        yield tuple(str(int(number)) for number in numbers)
        yield tuple(f"{number:.1f}" for number in numbers)
    if len(classes) == 2 and {says_yes_or_no(name) for name in classes} == {True, False}:
        for words in NO_AND_YES:
            yield tuple(words[bool(says_yes_or_no(name))] for name in classes)


def lines_about(
    task: str, metric: str, form: str, sample: Sample, classes: Sequence[str], where: str
) -> list[str]:
    """What to tell about the submission before it is written, a line each.

    Args:
        form: submit.as.
        where: the sample's file.
    """
    lines = [sample.note] if sample.note else []
    if task == "binary" and len(sample.columns) == 1:
        negative, positive = map(in_print, classes)
        name = sample.columns[0]
        if wants_labels(metric, form):
            lines.append(f"{name}: labels, {negative} or {positive}, the positive class")
        else:
            lines.append(
                f"{name}: P({classes[1]}), the probability of {positive}, not of {negative}"
            )
    own = ("0", "1") if task == "multilabel" else tuple(classes)
    if not own or not _holds_labels(task, metric, form, sample):
        doubt = _doubt_about_numbers(task, sample)
        return [*lines, f"warning: {where}: {doubt}"] if doubt else lines
    shown, spelled = first_few(sorted(sample.cells)), labels_as_sampled(sample, own)
    if spelled is None:
        lines.append(
            f"warning: {where}: holds {shown}, we write labels, {first_few(own)}; write the "
            "training file's targets so, or set submit.as: probabilities if it asks for these"
        )
    elif spelled != own:
        pairs = [f"{b!r} for {a!r}" for a, b in zip(own, spelled, strict=True)]
        lines.append(f"{where}: holds {shown}, so labels are written so: {', '.join(pairs[:6])}")
    return lines


def _holds_labels(task: str, metric: str, form: str, sample: Sample) -> bool:
    fits = task == "multilabel" or (TASKS[task].has_classes and len(sample.columns) == 1)
    return fits and wants_labels(metric, form)


def _doubt_about_numbers(task: str, sample: Sample) -> str | None:
    numbers = {cell: as_number(cell) for cell in sample.cells}
    if task == "regression":
        words = sorted(cell for cell, number in numbers.items() if number is None)
        return f"holds {first_few(words)}, we write numbers" if words else None
    outside = sorted(c for c, number in numbers.items() if number is None or not 0 <= number <= 1)
    if outside:
        return (
            f"holds {first_few(outside)}, we write probabilities; set submit.as: labels if it "
            "asks for labels"
        )
    return None


def check_positive(
    positive: str | None, metric: str, form: str, sample: Sample, classes: Sequence[str]
) -> None:
    """Raise a ValueError if which of two words is the positive class would be a guess.

    It is none where data.positive says it, the classes are numbers or a yes and a no, the sample
    names it, or nothing depends on it: labels whose metric treats both classes alike.
    """
    if positive is not None or len(sample.columns) > 1:
        return
    if wants_labels(metric, form) and metric != "f1":
        return
    if {says_yes_or_no(name) for name in classes} == {True, False}:
        return
    if all(as_number(name) is not None for name in classes):
        return
    if spelling_key(sample.columns[0]) == spelling_key(classes[1]):
        return
    first, second = map(in_print, classes)
    what = "the class that f1 scores" if wants_labels(metric, form) else "the probability asked for"
    raise ValueError(
        f"data.positive: the classes are {first} and {second}, and nothing says which is "
        f"{what}; set data.positive: {classes[0]} or data.positive: {classes[1]}"
    )
