"""Fold schemes: which rows are held out together.

A model that trained on a text has seen the target of its copies. So folds consist of *atoms*: all
rows with one text, as `text_key` compares texts, or with similar texts where these are asked for,
and, where groups are given, all rows that a shared text or a shared group connects. Every scheme
keeps atoms whole.

Letters: n_rows rows, a atoms, n folds, s strata (classes, bins of each target, 0 and 1 of each
label).
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline.competition.similar import similar_pairs
from pipeline.competition.spelling import text_key


def make_folds(
    scheme: str,
    y: np.ndarray,
    *,
    task: str,
    n: int,
    seed: int,
    texts: Sequence[str],
    groups: Sequence | None = None,
    similar: float | None = None,
) -> np.ndarray:
    """The fold of every row; under every scheme, equal texts share a fold, and so do equal groups.

    Args:
        y: (n_rows, c) targets or 0/1 labels for regression and multilabel, NaN where missing, else
            (n_rows,) codes.
        texts: (n_rows,) sentence pairs joined, (a, b) and (b, a) to the same string.
        groups: (n_rows,) values that can be compared; the rows without one are one group.
        similar: share of common word pairs from which texts share a fold; None: only equal texts.
    Returns:
        (n_rows,) int64 from 0 to n - 1; no fold is empty, or a ValueError is raised.
    """
    atoms = connect(texts, groups, similar)
    n_atoms = len(np.unique(atoms))
    if n_atoms < n:
        what, remedy = "distinct texts", "add rows"
        if groups is not None or similar is not None:
            what, remedy = "texts or groups with nothing in common", "see data.group, folds.similar"
        raise ValueError(
            f"folds.n: {n} folds need as many {what}, got {n_atoms}; lower folds.n or {remedy}"
        )
    return SCHEMES[scheme](y, atoms, task=task, n=n, seed=seed)


def connect(
    texts: Sequence[str], groups: Sequence | None, similar: float | None = None
) -> np.ndarray:
    """(n_rows,) number of the atom that a row belongs to, 0 to a - 1.

    Rows without a text are no copies of each other: as one atom they would share a fold, whose
    model would never have seen such a row.
    """
    keys = [text_key(text) or row for row, text in enumerate(texts)]
    text, distinct = pd.factorize(pd.Series(keys, dtype=object))
    if groups is None and similar is None:
        return text
    edges, n_nodes = np.empty((0, 2), dtype=np.int64), len(distinct)
    if similar is not None:
        at = np.array([k for k, key in enumerate(distinct) if isinstance(key, str)], dtype=np.int64)
        edges = at[similar_pairs([distinct[k] for k in at], similar)]
    if groups is not None:
        group, names = pd.factorize(pd.Series(groups), use_na_sentinel=False)
        # a row is an edge from its text to its group: a text in two groups connects them
        edges = np.concatenate([edges, np.column_stack([text, n_nodes + group])])
        n_nodes += len(names)
    # imported here: it takes a tenth of a second to load, and most tables do not need it
    from scipy.sparse.csgraph import connected_components

    graph = sparse.coo_matrix((np.ones(len(edges)), tuple(edges.T)), shape=(n_nodes, n_nodes))
    return pd.factorize(connected_components(graph)[1][text])[0]


def kfold(y: np.ndarray, atoms: np.ndarray, *, task: str, n: int, seed: int) -> np.ndarray:
    """Folds of equal size, at random."""
    return deal(atoms, np.zeros((len(y), 1)), n, seed)


def stratified(y: np.ndarray, atoms: np.ndarray, *, task: str, n: int, seed: int) -> np.ndarray:
    """Folds with equal shares of each class, of each label, or of each target's quantile bins."""
    columns = y.reshape(len(y), -1)  # (n_rows, c), or (n_rows, 1) class codes
    if task == "regression":
        columns = np.column_stack([quantile_bins(column) for column in columns.T])
    return deal(atoms, columns, n, seed)


def quantile_bins(target: np.ndarray) -> np.ndarray:
    """(n_rows,) quantile bin of each value; with few distinct values, the value itself.

    Missing values are a bin of their own. The number of bins is Sturges' rule, log2(n_rows) + 1.
    With more, the fold means of one target are closer, but those of several targets further apart
    (figures in docs/LOG.md).
    """
    n_bins = int(np.log2(len(target))) + 1
    if len(np.unique(target)) <= n_bins:
        return target
    edges = np.nanquantile(target, np.arange(1, n_bins) / n_bins)
    return np.where(np.isnan(target), n_bins, np.searchsorted(edges, target, side="right"))


def deal(atoms: np.ndarray, columns: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Deal atoms one by one, each to the fold that has the least of the atom's strata.

    Big atoms and rare strata, which are hard to place, go first; the many easy atoms then even out
    the folds: iterative stratification (Sechidis et al. 2011) with atoms of any size. If each row
    is an atom and there is one column, the counts of a stratum in two folds differ by at most 1,
    and so do the sizes of the folds. A stratum may be as rare as one row.

    Args:
        atoms: (n_rows,) 0 to a - 1, with a >= n.
        columns: (n_rows, c); each distinct value of each column is a stratum.
    Returns:
        (n_rows,) int64; no fold is empty, as an empty fold has the least.
    """
    strata = sparse.hstack([one_hot(column) for column in columns.T]).tocsr()  # (n_rows, s)
    counts = one_hot(atoms).T.tocsr() @ strata  # (a, s) rows
    weight = 1.0 / np.asarray(strata.sum(axis=0)).ravel()  # (s,)
    sizes = np.bincount(atoms)
    rarest = counts.sign().multiply(weight).tocsr().argmax(axis=1)
    # the atom's shares of strata, rounded to powers of two: a full order would leave the seed
    # nothing to shuffle
    hardness = np.floor(np.log2(counts @ weight))

    luck = np.random.default_rng(seed).random(len(sizes))
    held, held_rows = np.zeros((n, len(weight))), np.zeros(n)
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    for atom in np.lexsort((luck, np.asarray(rarest).ravel(), -hardness)):
        own = slice(counts.indptr[atom], counts.indptr[atom + 1])
        which, rows = counts.indices[own], counts.data[own]
        wealth = held[:, which] @ (rows * weight[which] ** 2)  # (n,) share held times share dealt
        fold = np.lexsort((held_rows, wealth))[0]
        fold_of[atom] = fold
        held[fold, which] += rows
        held_rows[fold] += sizes[atom]
    return fold_of[atoms]


def one_hot(column: np.ndarray) -> sparse.csr_matrix:
    """(n_rows, distinct values) of 0 and 1."""
    values, code = np.unique(column, return_inverse=True)
    rows = np.arange(len(column))
    return sparse.csr_matrix((np.ones(len(column)), (rows, code)), (len(column), len(values)))


# groups stay together under every scheme; the last two need them
SCHEMES: dict[str, Callable[..., np.ndarray]] = {
    "kfold": kfold,
    "stratified": stratified,
    "group": kfold,
    "stratified_group": stratified,
}
