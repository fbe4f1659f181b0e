"""Texts that are almost copies of each other. Letters: d texts, p pairs."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

N_HASHES = 128
FOUND = 0.99  # of the pairs that are just similar enough; of others more


def similar_pairs(keys: Sequence[str], least: float) -> NDArray[np.int64]:
    """(p, 2) numbers of texts that have `least` of all their word pairs in common (Jaccard).

    Candidates are found by MinHash in bands (Broder 1997; Leskovec et al. 2014, chapter 3) and then
    compared exactly: no pair is wrong, but one in a hundred that are hardly similar is missed.
    Texts that earlier pairs connect are not compared: m copies have m² / 2 pairs.

    Args:
        keys: (d,) texts as `text_key` gives them.
    Raises:
        ValueError: the package is not installed.
    """
    try:  # imported here: it takes seconds to load, and few folds need it
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise ValueError(
            "folds.similar needs the package datasketch, which is not installed; pip install "
            "datasketch, or leave folds.similar out"
        ) from None
    from scipy.cluster.hierarchy import DisjointSet

    parts = DisjointSet(range(len(keys)))
    shingles = [_shingles(key) for key in keys]
    index = MinHashLSH(num_perm=N_HASHES, params=bands_for(least))
    pairs = []
    sketches = MinHash.generator(shingles, num_perm=N_HASHES, hashfunc=crc32)
    for at, (own, sketch) in enumerate(zip(shingles, sketches, strict=True)):
        for other in index.query(sketch):
            if parts.connected(other, at):
                continue
            n_common = len(own & shingles[other])
            if n_common >= least * (len(own) + len(shingles[other]) - n_common):
                parts.merge(other, at)
                pairs.append((other, at))
        index.insert(at, sketch, check_duplication=False)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def bands_for(least: float) -> tuple[int, int]:
    """Number of bands and hashes a band: two texts are candidates if all hashes of a band agree."""
    sizes = range(1, N_HASHES // 2 + 1)
    enough = [r for r in sizes if 1 - (1 - least**r) ** (N_HASHES // r) >= FOUND]
    return N_HASHES // max(enough), max(enough)


def _shingles(key: str) -> set[bytes]:
    """Pairs of neighbouring words; of a single word, the word."""
    words = key.split()
    return {" ".join(words[at : at + 2]).encode() for at in range(max(1, len(words) - 1))}
