"""The tokens that are read of a long text, and in which windows."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]  # in a text or pair, special tokens included

# of head_tail: the best of Sun et al. 2019, arXiv:1905.05583, which keep 128 + 382 of 510 tokens
HEAD_SHARE = 0.25


class Truncation(NamedTuple):
    """How a text is cut, as a function of its positions and how many of them to keep."""

    keep: Callable[[Positions, int], Positions]
    loses: str


def windows_of(
    sequences: Sequence[int | None],
    max_length: int,
    truncation: str,
    n_windows: int,
    overlap: float,
) -> list[Positions]:
    """Positions of the tokens of each window; all but the last have `max_length`.

    Special tokens stand in every window, and so does the shorter text of a pair, cut to half of the
    room. The longer text is cut to what the windows hold.

    Args:
        sequences: which text of a pair each token belongs to, 0 or 1; None for special tokens.
        truncation: a name in `TRUNCATIONS`.
        n_windows: at most.
        overlap: share of the longer text's room that the next window repeats, below 1.
    """
    keep = TRUNCATIONS[truncation].keep
    owner = np.array([-1 if owner is None else owner for owner in sequences])
    special = np.flatnonzero(owner == -1)
    shorter, longer = sorted((np.flatnonzero(owner == k) for k in (0, 1)), key=len)
    room = max(0, max_length - len(special))
    shorter = keep(shorter, min(len(shorter), room // 2))
    room -= len(shorter)
    n_repeated = min(int(overlap * room), max(0, room - 1))
    step = max(1, room - n_repeated)
    longer = keep(longer, min(len(longer), room + (n_windows - 1) * step))
    starts = range(0, max(1, len(longer) - n_repeated), step)
    parts = [(special, shorter, longer[start : start + room]) for start in starts]
    return [np.sort(np.concatenate(part)) for part in parts]


def _head_tail(tokens: Positions, n: int) -> Positions:
    n_head = math.ceil(HEAD_SHARE * n)
    return np.concatenate([tokens[:n_head], tokens[len(tokens) - n + n_head :]])


# by the name in the YAML
TRUNCATIONS: dict[str, Truncation] = {
    "head": Truncation(lambda tokens, n: tokens[:n], "end"),
    "tail": Truncation(lambda tokens, n: tokens[len(tokens) - n :], "beginning"),
    "head_tail": Truncation(_head_tail, "middle"),
}
