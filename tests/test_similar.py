"""Near-copies: texts with most of their word pairs in common share a fold."""

import sys

import numpy as np
import pytest
from conftest import write_competition

from pipeline.competition.deal import connect, make_folds
from pipeline.competition.similar import FOUND, N_HASHES, bands_for, similar_pairs
from pipeline.members.classic.estimators import TfidfLinear

STAGE = "make_folds"
WORDS = np.array([f"w{k}" for k in range(2000)])
LENGTH = 24


def random_texts(n, seed=0):
    """(n, LENGTH) words; no two texts share a word pair but by chance."""
    return np.random.default_rng(seed).choice(WORDS, (n, LENGTH))


def joined(words):
    return [" ".join(row) for row in words]


# --- pairs


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ("a b c d", "a b c e", 2 / 4),
        ("a b c d e f g", "a b c d e f h", 5 / 7),
        ("a b c", "x a b c", 2 / 3),
        ("a b a b a", "b a b", 1),  # a pair counts once
        ("a", "a a", 0),
        ("a b c d", "d c b a", 0),  # the order counts
    ],
)
def test_texts_are_similar_from_the_share_of_their_common_word_pairs_on(first, second, share):
    for least, found in ((share - 0.001, [[0, 1]]), (share + 0.001, [])):
        if 0.5 <= least <= 1:
            assert similar_pairs([first, second], least).tolist() == found
    if share == 0:
        assert similar_pairs([first, second], 0.5).tolist() == []


def test_hardly_a_pair_is_missed_and_none_is_wrong():
    texts = random_texts(300)
    changed = texts.copy()
    changed[:, -1] = "other"  # 22 of 24 word pairs in common
    pairs = similar_pairs(joined(np.concatenate([texts, changed])), 0.9).tolist()
    assert {tuple(pair) for pair in pairs} <= {(k, k + 300) for k in range(300)}
    assert len(pairs) >= 295
    assert len(similar_pairs(joined(np.concatenate([texts, changed])), 0.8)) == 300
    assert len(similar_pairs(joined(np.concatenate([texts, changed])), 0.95)) == 0


@pytest.mark.parametrize("least", [0.5, 0.75, 0.9, 1])
def test_bands_find_almost_all_pairs_and_propose_few_others(least):
    n_bands, size = bands_for(least)
    assert n_bands * size <= N_HASHES
    assert 1 - (1 - least**size) ** n_bands >= FOUND
    assert 1 - (1 - (least / 8) ** size) ** n_bands < 0.02


def test_many_near_copies_have_no_more_pairs_than_texts():
    texts = [f"{' '.join(WORDS[:30])} {name}" for name in WORDS[:200]]
    assert len(similar_pairs(texts, 0.9)) == 199  # all pairs are 19,900


def test_no_texts_have_no_pairs():
    assert similar_pairs([], 0.9).shape == (0, 2)


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(ValueError, match=r"folds\.similar.*datasketch"):
        similar_pairs(["a"], 0.9)


# --- atoms


def test_similar_texts_equal_texts_and_groups_connect_rows():
    long = joined(random_texts(4))
    texts = [long[0], long[0] + " z", long[1], long[1].upper(), long[2], "", "", long[3]]
    apart = connect(texts, None)
    assert len(set(apart.tolist())) == 7
    assert connect(texts, None, 0.9).tolist() == [0, 0, 1, 1, 2, 3, 4, 5]
    groups = list("abbcdefa")
    assert connect(texts, groups, 0.9).tolist() == [0, 0, 0, 0, 1, 2, 3, 0]
    assert connect(texts, groups, 1.0).tolist() == connect(texts, groups).tolist()


def test_a_chain_of_similar_texts_is_one_atom():
    words = random_texts(1)[0]
    chain = [" ".join([*words[k:], *(f"n{j}" for j in range(k))]) for k in range(6)]
    assert set(connect(chain, None, 0.85).tolist()) == {0}
    assert similar_pairs(chain, 0.85).tolist() == [[k, k + 1] for k in range(5)]


# --- what they are worth


def test_the_oof_score_of_near_copies_no_longer_flatters():
    """Labels are random, so no model is right on more than half of new texts."""
    rng = np.random.default_rng(0)
    texts, y = np.repeat(random_texts(120), 3, axis=0), np.repeat(rng.integers(0, 2, 120), 3)
    texts[np.arange(360), rng.integers(0, LENGTH, 360)] = rng.choice(WORDS, 360)  # one word each
    texts = joined(texts)
    scores = {}
    for similar in (None, 0.7):
        how = {"task": "binary", "n": 3, "seed": 0, "texts": texts, "similar": similar}
        folds, right = make_folds("stratified", y, **how), np.zeros(360)
        for fold in range(3):
            fit, new = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            model = TfidfLinear(task="binary", n_columns=1, seed=0)
            model.fit([(texts[row],) for row in fit], y[fit])
            probability = model.predict([(texts[row],) for row in new])[:, 0]
            right[new] = (probability > 0.5) == y[new]
        scores[similar] = right.mean()
    assert scores[None] > 0.85
    assert 0.4 < scores[0.7] < 0.6


# --- the stage


def test_the_stage_keeps_similar_texts_together_and_records_the_share(workplace, run, refused):
    config = write_competition(workplace, "regression")
    run(config)
    assert "folds.similar" in refused(config, "--folds.similar", "0.9")
    run(config, "--folds.similar", "0.9", "--overwrite")
    run(config, "--folds.similar", "0.9")
    assert "folds.similar" in refused(config)


@pytest.mark.parametrize("value", ["0.4", "1.5", "90", "often"])
def test_a_share_out_of_range_is_refused(workplace, refused, value):
    config = write_competition(workplace, "regression")
    line = refused(config, "--folds.similar", value)
    assert "folds.similar" in line
    assert value in line


def test_folds_of_a_file_have_no_share(workplace, refused):
    config = write_competition(
        workplace, "regression", settings={"folds": {"scheme": "file", "path": "f.csv", "n": None}}
    )
    text = config.read_text().replace("  n: null\n", "")
    config.write_text(text)
    assert "similar" in refused(config, "--folds.similar", "0.9")
