"""Hard predictions tuned for the metric: thresholds and class weights.

Letters: n fit rows, k new rows, c columns, q classes or labels. `ensemble.postprocessing`
registers the method and checks its input. Method: docs/method.md, "Post-processing".
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.ensemble.fitted import State
from pipeline.ensemble.objectives import score_of_blend
from pipeline.files.messages import listed
from pipeline.scoring.counts import POOLED_COUNTED, Counted, count_cases
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TINY, Floats, Task, decide

MOST_ROUNDS = 20  # of coordinate ascent; three or four are usual
N_TRIED = 50  # cuts, where each costs a call of the user's own function
TIE = 1e-12  # difference below which two scores count as equal
ROUNDING = 1e-12  # relative difference below which two predictions count as equal

# a formula in counts, or any function of (n,) hard predictions; greater is better
Judge = Counted | Callable[[NDArray[Any]], float]


class Threshold:
    """Odds shifted per label or class so that the decision at 0.5 or by argmax scores best.

    Two classes: the best threshold. More classes: a weight for each, by coordinate ascent.
    """

    def fit(self, blend: Floats, target: Target) -> State:
        """(c,) shifts on the raw scale, 0 for an unchanged column."""
        task, y, judge = target.task, target.y, target.metric.counted or _judge(target)
        if y.ndim == 2:  # labels that the metric scores together
            shift = _joint_shifts(blend, target)
        elif task.name == "multiclass":
            shift = _log_weights(blend, y, judge, np.unique(y))
        else:
            sides = np.column_stack([1 - blend, blend])
            shift = _log_weights(sides, y, judge, np.unique(y)[1:])[1:]
        tuned = task.to_prediction(task.to_raw(blend) + shift)
        # the search breaks ties differently than argmax, and takes rows that nearly tie together
        gains = score_of_blend(tuned, target) > score_of_blend(blend, target) + TIE
        return {"shift": shift if gains else np.zeros_like(shift)}

    def meaning(self, state: State, columns: Sequence[str], task: Task) -> str:
        """Cuts of the blend's own probabilities, or the factors of its classes."""
        shift = np.asarray(state["shift"])
        if task.name == "multiclass":
            factors = [f"{n} {np.exp(s):.4g}" for n, s in zip(columns, shift, strict=True)]
            return (
                f"probabilities are multiplied by {listed(factors)} before the greatest decides; "
                "they are no longer estimates"
            )
        cuts = [f"{n} {c:.4g}" for n, c in zip(columns, task.to_prediction(-shift), strict=True)]
        return (
            f"the blend's probability decides from these cuts on: {listed(cuts)}; probabilities "
            "are rescaled so that each cut is at 0.5, and are no longer estimates"
        )

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        shift = np.asarray(state["shift"])
        shifted = task.to_prediction(task.to_raw(new) + shift)
        # probabilities of classes sum to 1, so a shift of one class moves them all
        unchanged = not shift.any() if task.name == "multiclass" else shift == 0
        return np.where(unchanged, new, shifted)


def _joint_shifts(blend: Floats, target: Target) -> Floats:
    """(c,) shifts of labels that the metric scores together, by coordinate ascent."""
    y, decided = target.y.astype(np.int64), decide(target.task.name, blend)
    shift = np.zeros(blend.shape[1])
    for _ in range(MOST_ROUNDS):
        before = shift.copy()
        for j in range(len(shift)):
            sides = np.column_stack([1 - blend[:, j], blend[:, j]])
            judge = _beside_others(target, y, decided, j)
            shift[j] = _log_weights(sides, y[:, j], judge, np.array([1]))[1]
            decided[:, j] = blend[:, j] >= expit(-shift[j])
        if (shift == before).all():
            break
    return shift


def _beside_others(
    target: Target, y: NDArray[np.int64], decided: NDArray[np.int64], j: int
) -> Judge:
    """The judge of the predictions for label j while those for the others stay."""
    counted = POOLED_COUNTED.get(target.metric.name)
    if counted is None:
        return judge_of_column(target, decided, j)
    both, terms, every_row = np.arange(2), counted.terms, np.ones((1, len(y)))
    others = np.zeros(1) + sum(
        terms(*count_cases(y[:, i], decided[:, i], every_row), both).sum(axis=-1)
        for i in range(y.shape[1])
        if i != j
    )
    return replace(counted, of_sums=lambda sums: counted.of_sums(sums + others))


def judge_of_column(
    target: Target, decided: NDArray[Any], j: int
) -> Callable[[NDArray[Any]], float]:
    """The metric of (n,) hard predictions for column j beside those in `decided` for the others."""
    at_j, judge = np.arange(decided.shape[1]) == j, _judge(target)
    return lambda own: judge(np.where(at_j, own[:, None], decided))


def _judge(target: Target) -> Callable[[NDArray[Any]], float]:
    """The metric of hard predictions; greater is better, -inf where it is undefined."""
    metric, every_row = target.metric, np.ones((1, len(target)))

    def judge(decided: NDArray[Any]) -> float:
        (score,) = metric.scorer(target.y, decided)(every_row)
        return -np.inf if np.isnan(score) else float(metric.sign * score)

    return judge


def _log_weights(p: Floats, y: NDArray[np.int64], judge: Judge, tuned: NDArray[np.int64]) -> Floats:
    """(q,) log weights to add to the logs of (n, q) probabilities before argmax.

    Args:
        tuned: classes whose weight is fitted; the other weights stay 1.
    """
    log_p, log_weights = np.log(np.clip(p, TINY, None)), np.zeros(p.shape[1])
    if len(np.unique(y)) < 2:
        return log_weights
    best, second = _best_two(log_p)
    rows = np.arange(len(y))
    for _ in range(MOST_ROUNDS):
        before = log_weights.copy()
        for j in tuned:
            rival = np.where(best == j, second, best)
            # weight of class j, mapped to [0, 1], at which a row turns to class j
            turns = 1 / (1 + np.exp(log_p[:, j] - log_p[rows, rival] - log_weights[rival]))
            share = 1 / (1 + np.exp(-log_weights[j]))
            cut = _best_cut(turns, y, rival, j, judge, p.shape[1], share)
            if cut != share:
                # not clipped like the blend: the cut may lie beyond its most confident rows
                log_weights[j] = np.log(cut) - np.log1p(-cut)
                best, second = _best_two(log_p + log_weights)
        if len(tuned) == 1 or (log_weights == before).all():  # one weight is the best at once
            break
    return log_weights


def _best_two(values: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) columns of the greatest and of the second greatest value of each row."""
    best = values.argmax(axis=1)
    rest = values.copy()
    rest[np.arange(len(values)), best] = -np.inf
    return best, rest.argmax(axis=1)


def _best_cut(
    turns: Floats,
    y: NDArray[np.int64],
    otherwise: NDArray[np.int64],
    j: int,
    judge: Judge,
    n_classes: int,
    current: float,
) -> float:
    """The cut in (0, 1) that scores best when rows that turn below it are decided as class j.

    It is the middle of the widest interval of best cuts. A judge that is a function tries a sample
    of the cuts.

    Args:
        otherwise: (n,) predictions for rows above the cut, never j.
        current: the cut to keep unless another is better.
    """
    order = np.argsort(turns, kind="stable")
    edges = np.concatenate([[0.0], turns[order], [1.0]])
    differ = np.diff(edges[1:]) > ROUNDING * np.minimum(edges[2:], 1 - edges[1:-1])
    apart = np.flatnonzero(np.append(True, differ))  # not between ties
    low, high = edges[apart], np.append(edges[apart[1:]], 1.0)
    at = int(np.searchsorted(low, current, side="right")) - 1
    if isinstance(judge, Counted):
        sums = _sums_while_turning(y[order], otherwise[order], j, judge, n_classes)
        scores = judge.of_sums(sums)[apart]
    else:
        tried = np.unique([at, *np.linspace(0, len(apart) - 1, N_TRIED).round().astype(int)])
        apart, low, high = apart[tried], low[tried], high[tried]
        at = int(np.searchsorted(tried, at))
        turned = np.argsort(order)  # how many rows turn before each row
        scores = np.array([judge(np.where(turned < n, j, otherwise)) for n in apart])
    best = scores >= scores.max() - TIE
    if best[at]:
        return current
    runs = np.split(np.flatnonzero(best), np.flatnonzero(np.diff(np.flatnonzero(best)) > 1) + 1)
    widest = max(runs, key=lambda run: high[run[-1]] - low[run[0]])
    middle = float(low[widest[0]] + high[widest[-1]]) / 2
    return min(middle, float(np.nextafter(1, 0)))  # the middle may round to 1


def _sums_while_turning(
    y: NDArray[np.int64], otherwise: NDArray[np.int64], j: int, metric: Counted, n_classes: int
) -> Floats:
    """(t, n + 1) sums of the metric's terms after the first 0 to n rows have turned to class j.

    A row that turns changes the counts of two classes only: j and the class that it leaves.
    """
    n, right = len(y), (otherwise == y).astype(np.float64)
    actual = np.bincount(y, minlength=n_classes).astype(np.float64)
    decided = np.bincount(otherwise, minlength=n_classes).astype(np.float64)
    hits = np.bincount(otherwise, weights=right, minlength=n_classes).astype(np.float64)
    classes = np.arange(n_classes)
    start = metric.terms(hits, actual, decided, classes).sum(axis=-1)

    hits_of_j = np.concatenate([[0.0], np.cumsum(y == j)])
    of_j = metric.terms(hits_of_j, actual[j], np.arange(n + 1.0), np.array(j))

    by_class = np.argsort(otherwise, kind="stable")
    left, first = otherwise[by_class], np.searchsorted(otherwise[by_class], classes)
    gone = np.arange(n) - first[left]  # rows that left the same class before this row
    lost = np.concatenate([[0.0], np.cumsum(right[by_class])])
    still_hit = hits[left] - (lost[:-1] - lost[first[left]])
    still_decided = decided[left] - gone
    after = metric.terms(
        still_hit - right[by_class], actual[left], still_decided - 1, classes[left]
    )
    steps = np.empty_like(after)
    steps[:, by_class] = after - metric.terms(still_hit, actual[left], still_decided, classes[left])
    of_others = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    return start[:, None] + (of_j - of_j[:, :1]) + of_others
