"""Cut points of ordered labels, tuned for the quadratic weighted kappa or a user's own metric.

Letters: n fit rows, k new rows, c columns, q labels. `ensemble.postprocessing` registers the method
and checks its input. Method: docs/method.md, "Post-processing".
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.fitted import State
from pipeline.ensemble.thresholds import MOST_ROUNDS, ROUNDING, TIE, judge_of_column
from pipeline.files.messages import listed
from pipeline.scoring.formulas import kappa
from pipeline.scoring.metrics import distinct_values, nearest_labels
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, Task

MOST_LABELS = 100  # with more, rounding hardly changes a prediction
N_PLACES = 200  # of cuts, where each costs a call of the user's own function

# scores with the j-th of some cuts, given by the number of rows below each, at each of some places
Scores = Callable[[NDArray[np.int64], int, NDArray[np.int64]], Floats]


class CutPoints:
    """Piecewise linear map after which rounding to the nearest label scores best.

    For ordered classes it maps the expected code; the result lies on the two nearest classes.
    """

    def fit(self, blend: Floats, target: Target) -> State:
        """A map for a regression column, or for the expected code if that scores better."""
        y = target.y
        if target.metric.own:
            return {"bends": _bends_of_own(blend, target)}
        if not target.task.has_classes:
            return {"bends": [_fit_bend(blend[:, 0], y[:, 0], np.unique(y))]}
        codes = np.arange(max(blend.shape[1], 2), dtype=np.float64)
        bend = _fit_bend(_expected_code(blend), y, codes)
        gains = target.score(_on_classes(bend, blend)) > target.score(blend) + TIE
        return {"bends": [bend if gains else None], "gains": bool(gains)}

    def meaning(self, state: State, columns: Sequence[str], task: Task) -> str:
        """Cuts of the blend's own predictions; where none are named they stay midway."""
        names = ["the expected grade"] if task.has_classes else columns
        moved = [
            f"{name} {' '.join(f'{cut:.4g}' for cut in bend['cuts'])}"
            for name, bend in zip(names, state["bends"], strict=True)
            if bend is not None
        ]
        return (
            f"cut points of the blend: {listed(moved) or 'midway between labels'}; predictions "
            "are moved so that these cuts lie midway between labels"
        )

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        bends = state["bends"]
        if not task.has_classes:
            columns = zip(bends, new.T, strict=True)
            return np.column_stack([_bent(bend, p) for bend, p in columns])
        return _on_classes(bends[0], new) if state["gains"] else new.copy()


def _expected_code(p: Floats) -> Floats:
    """(k,) expected code from (k, c) probabilities."""
    return p[:, 0] if p.shape[1] == 1 else p @ np.arange(p.shape[1], dtype=np.float64)


def _on_classes(bend: State | None, p: Floats) -> Floats:
    """(k, c) probabilities on the two classes next to the mapped expected code."""
    codes = np.arange(max(p.shape[1], 2), dtype=np.float64)
    code = np.clip(_bent(bend, _expected_code(p)), codes[0], codes[-1])[:, None]
    return code if p.shape[1] == 1 else np.clip(1 - np.abs(code - codes), 0, 1)


def _bends_of_own(blend: Floats, target: Target) -> list[State | None]:
    """A map for each column, one after the other, as the user's own metric scores all at once."""
    decided, bends = nearest_labels(blend, distinct_values(target.y)), []
    for j, (p, y) in enumerate(zip(blend.T, target.y.T, strict=True)):
        labels = np.unique(y)
        bend = _fit_bend(p, y, labels, judge_of_column(target, decided, j))
        decided[:, [j]] = nearest_labels(_bent(bend, p)[:, None], labels[:, None])
        bends.append(bend)
    return bends


def _fit_bend(
    values: Floats, y: Floats, labels: Floats, judge: Callable[[Floats], float] | None = None
) -> State | None:
    """The best cut points of (n,) values, and the middles between (q,) labels that they map to.

    None if the middles themselves are the best cuts, or there is nothing to choose.

    Args:
        judge: maps (n,) labels to a score; None takes kappa, and is much faster.
    """
    middles = (labels[1:] + labels[:-1]) / 2
    if len(np.unique(y)) < 2 or len(labels) > MOST_LABELS:
        return None
    order = np.argsort(values, kind="stable")
    values, y = values[order], y[order]
    unchanged = values.searchsorted(middles, side="right")
    below = np.sort(y).searchsorted(labels[1:])  # rows of a smaller label
    differ = np.diff(values) > ROUNDING * np.abs(values).max()
    allowed = np.concatenate([[0], np.flatnonzero(differ) + 1, [len(values)]])
    same_counts = allowed[allowed.searchsorted(below, side="right") - 1]
    if judge is None:
        center = y.mean()  # a shift does not change kappa, and centring drops its mean terms
        scores = _kappas(y - center, labels - center)
    else:
        allowed = allowed[np.unique(np.linspace(0, len(allowed) - 1, N_PLACES).round().astype(int))]
        scores = _judged(judge, np.argsort(order), labels)
    climbed = [_climb(scores, allowed, start) for start in (unchanged, same_counts)]
    (score, _), (other, _) = climbed
    places = climbed[int(other > score + TIE)][1]
    # beyond the ends, where no neighbour exists, cuts lie half a standard deviation away
    edges = np.concatenate([[values[0] - values.std()], values, [values[-1] + values.std()]])
    cuts = np.where(places == unchanged, middles, (edges[places] + edges[places + 1]) / 2)
    cuts = np.maximum.accumulate(cuts)
    return None if (places == unchanged).all() else {"cuts": cuts, "middles": middles}


def _bent(bend: State | None, new: Floats) -> Floats:
    """(k,) values mapped piecewise linearly by `_fit_bend`'s cuts."""
    if bend is None:
        return new.copy()
    cuts, middles = np.asarray(bend["cuts"]), np.asarray(bend["middles"])
    beyond = np.minimum(new - cuts[0], 0) + np.maximum(new - cuts[-1], 0)
    return np.interp(new, cuts, middles) + beyond


def _climb(
    scores: Scores, allowed: NDArray[np.int64], places: NDArray[np.int64]
) -> tuple[float, NDArray[np.int64]]:
    """The greatest score by coordinate ascent over cuts, and the places of the cuts.

    Args:
        allowed: ascending places that are tried, none between ties.
        places: (q - 1,) at the start.
    """
    places = places.copy()
    best = float(scores(places, 0, places[:1])[0])
    for _ in range(MOST_ROUNDS):
        before = best
        for j in range(len(places)):
            low = places[j - 1] if j > 0 else 0
            high = places[j + 1] if j + 1 < len(places) else allowed[-1]
            tried = allowed[(allowed >= low) & (allowed <= high)]
            values = scores(places, j, tried)
            if len(values) and values.max() > best + TIE:
                tied = np.flatnonzero(values >= values.max() - TIE)
                places[j], best = tried[tied[len(tied) // 2]], float(values.max())
        if best <= before + TIE:
            break
    return best, places


def _kappas(y: Floats, labels: Floats) -> Scores:
    """Kappa, from (n,) targets of mean 0 in the order of the values."""
    n, sums = len(y), np.concatenate([[0.0], np.cumsum(y)])

    def scores(at: NDArray[np.int64], j: int, tried: NDArray[np.int64]) -> Floats:
        borders = np.concatenate([[0], at, [n]])
        n_each, sum_each = np.diff(borders), np.diff(sums[borders])
        low, high = borders[j], borders[j + 2]
        n_each[j : j + 2], sum_each[j : j + 2] = 0, 0
        products = sum_each @ labels + labels[j] * (sums[tried] - sums[low])
        products = products + labels[j + 1] * (sums[high] - sums[tried])
        squares = n_each @ labels**2 + labels[j] ** 2 * (tried - low)
        squares = squares + labels[j + 1] ** 2 * (high - tried)
        return kappa(y @ y - 2 * products + squares, y @ y, squares)

    return scores


def _judged(judge: Callable[[Floats], float], rank: NDArray[np.int64], labels: Floats) -> Scores:
    """Scores by a call of `judge` for each place; `rank` (n,) numbers the rows by their values."""

    def scores(at: NDArray[np.int64], j: int, tried: NDArray[np.int64]) -> Floats:
        cuts = np.tile(at, (len(tried), 1))
        cuts[:, j] = tried
        return np.array([judge(labels[cut.searchsorted(rank, side="right")]) for cut in cuts])

    return scores
