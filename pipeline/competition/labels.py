"""The form of a submission: labels or numbers, and how labels are spelled.

Labels are spelled as in the training file, or as in the sample where one rule gives all its cells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from pipeline.competition.sample import Sample, read_sample
from pipeline.competition.spelling import in_print, spelled_in
from pipeline.competition.targets import as_number, says_yes_or_no
from pipeline.files.messages import first_few, listed
from pipeline.scoring.metrics import Metric, metric_of
from pipeline.scoring.names import Setting
from pipeline.scoring.tasks import TASKS
from pipeline.settings.config import Config
from pipeline.settings.listing import spelled

ZERO_ONE = ("0", "1")  # of a multilabel task
NO = ("0", "False", "false", "FALSE", "no", "No", "NO", "0.0")
OF_POSITIVE = ("f1", "fbeta", "own_labels", "own_probabilities")  # need not treat classes alike
YES = ("1", "True", "true", "TRUE", "yes", "Yes", "YES", "1.0")


@dataclass(frozen=True)
class Form:
    """The settings and the sample that determine the form of a submission.

    Attributes:
        submit_as: labels or probabilities; auto: labels where the metric scores hard ones.
        classes: as the training file spells them; for binary the negative, then the positive.
    """

    task: str
    metric: Setting
    submit_as: str
    sample: Sample
    classes: Sequence[str]

    @property
    def wants_labels(self) -> bool:
        return self.submit_as == "labels" or (self.submit_as == "auto" and self.scored_by.decides)

    @property
    def scored_by(self) -> Metric:
        return metric_of(self.metric)

    @property
    def n_listed(self) -> int | None:
        """Number of labels that the only column lists in each row, the most probable first."""
        lists = self.submit_as == "auto" and self.has_one_column
        return self.scored_by.k if lists else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that our cells hold; none if they hold numbers."""
        if self.task == "multilabel":
            return ZERO_ONE if self.wants_labels else ()
        is_label = TASKS[self.task].has_classes and (self.wants_labels or self.n_listed)
        return tuple(self.classes) if is_label and self.has_one_column else ()

    @property
    def sampled_labels(self) -> frozenset[str]:
        """The labels that the sample's cells hold."""
        cells = self.sample.cells
        return frozenset(" ".join(cells).split()) if self.n_listed else cells

    @property
    def spelled_labels(self) -> tuple[str, ...]:
        """The `labels` as the sample spells them, where that is certain."""
        return labels_as_sampled(self.sampled_labels, self.labels) or self.labels

    @property
    def has_one_column(self) -> bool:
        return len(self.sample.columns) == 1

    def __post_init__(self) -> None:
        columns, classes = self.sample.columns, self.classes
        if TASKS[self.task].has_classes and self.submit_as == "labels" and len(columns) > 1:
            raise ValueError(
                f"submit.as: labels fill one column, but the sample submission has {len(columns)}: "
                f"{', '.join(columns[:5])}; leave it at auto"
            )
        if not self.has_one_column or self.wants_labels:
            return
        if self.n_listed:
            spaced = [name for name in classes if len(name.split()) != 1]
            if spaced:
                raise ValueError(
                    f"class {spaced[0]!r} holds white space, which separates the labels that a row "
                    f"lists for {self.scored_by.label}; rename the class, or set submit.as: labels"
                )
            return
        if self.task == "binary" and spelled_in(columns[0], classes) == classes[0]:
            raise ValueError(
                f"the sample submission's column {columns[0]!r} is a class, but the probability of "
                f"{classes[1]!r} is predicted; set data.positive: {spelled(classes[0])}"
            )
        if self.task == "multiclass":
            fitting = "auto" if self.scored_by.decides or self.scored_by.k else "labels"
            remedy = f"for {self.scored_by.label} set submit.as: {fitting}"
            raise ValueError(
                f"the sample submission has one column, {columns[0]!r}, which cannot hold the "
                f"probabilities of {len(classes)} classes; "
                f"{'set task: binary' if len(classes) == 2 else remedy}"
            )


def read_form(
    config: Config, columns: Sequence[str], classes: Sequence[str], ids: Sequence[str]
) -> Form:
    """The form of the submission; arguments and errors are those of `read_sample` and `Form`."""
    sample = read_sample(config.data, ids, config.task, columns, classes)
    return Form(config.task, config.metric, config.submit.as_, sample, classes)


def labels_as_sampled(cells: frozenset[str], classes: Sequence[str]) -> tuple[str, ...] | None:
    """The classes as the sample spells them; None if its cells are no spellings of them.

    A sample may show one class only, so a spelling counts as certain when one rule, such as whole
    numbers for 1.0 or 0 and 1 for False and True, gives every cell.
    """
    for spelling in _spellings(classes):
        if len(set(spelling)) == len(classes) and cells <= set(spelling):
            return spelling
    return None


def _spellings(classes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    yield tuple(classes)
    stripped = [name.strip() for name in classes]
    yield tuple(normalize("NFC", name) for name in stripped)
    yield tuple(normalize("NFD", name) for name in stripped)
    for style in (str, str.lower, str.upper, str.capitalize, str.title):
        yield tuple(map(style, stripped))
    numbers = [number for name in classes if (number := as_number(name)) is not None]
    if len(numbers) == len(classes) and all(number.is_integer() for number in numbers):
        yield tuple(str(int(number)) for number in numbers)
        yield tuple(f"{number:.1f}" for number in numbers)
    if len(classes) == 2 and {says_yes_or_no(name) for name in classes} == {True, False}:
        for words in zip(NO, YES, strict=True):
            yield tuple(words[bool(says_yes_or_no(name))] for name in classes)


def lines_about(form: Form, where: str) -> list[str]:
    """Notes and warnings about the submission, a line each; `where` is the sample's file."""
    sample, classes = form.sample, form.classes
    lines = [sample.note] if sample.note else []
    if form.task == "binary" and form.has_one_column:
        negative, positive = map(in_print, classes)
        held = f"P({classes[1]}), the probability of {positive}, not of {negative}"
        if form.wants_labels:
            held = f"labels, {negative} or {positive}, the positive class"
        lines.append(f"{sample.columns[0]}: {held}")
    if not (labels := form.labels):
        problem = _problem_of_numbers(form)
        return [*lines, f"warning: {where}: {problem}"] if problem else lines
    if form.n_listed:
        n = min(form.n_listed, len(labels))
        lines.append(f"{sample.columns[0]}: {n} labels, the most probable first")
    cells = form.sampled_labels
    shown, sampled = first_few(sorted(cells)), labels_as_sampled(cells, labels)
    if sampled is None:
        lines.append(
            f"warning: {where}: holds {shown}, we write labels, {first_few(labels)}; write the "
            "training file's targets so, or set submit.as: probabilities if it asks for these"
        )
    elif sampled != labels:
        pairs = [f"{b!r} for {a!r}" for a, b in zip(labels, sampled, strict=True)]
        lines.append(f"{where}: holds {shown}, so we write {listed(pairs)}")
    return lines


def _problem_of_numbers(form: Form) -> str | None:
    """The sample's cells that are no values or probabilities, for a message; None if all are."""
    is_probability, odd = TASKS[form.task].is_probability, []
    for cell in sorted(form.sample.cells):
        number = as_number(cell)
        if number is None or (is_probability and not 0 <= number <= 1):
            odd.append(cell)
    if not odd:
        return None
    ours = "probabilities; set submit.as: labels if it asks for labels"
    return f"holds {first_few(odd)}, we write {ours if is_probability else 'numbers'}"


def check_positive(positive: str | None, form: Form) -> None:
    """Raise a ValueError if the positive class of a binary task would be a guess.

    It is known if data.positive names it, the classes are numbers or a yes and a no, or the sample
    names it. It does not matter for labels whose metric treats both classes alike.
    """
    classes, column = form.classes, form.sample.columns[0]
    if (
        form.task != "binary"
        or positive is not None
        or not form.has_one_column
        or (form.wants_labels and form.scored_by.name not in OF_POSITIVE)
        or {says_yes_or_no(name) for name in classes} == {True, False}
        or all(as_number(name) is not None for name in classes)
        or spelled_in(column, classes) == classes[1]
    ):
        return
    first, second = map(in_print, classes)
    raise ValueError(
        f"data.positive: nothing says which of the classes {first} and {second} is the positive "
        f"one; set data.positive: {spelled(classes[0])} or data.positive: {spelled(classes[1])}"
    )
