"""Text statistics, counted by hand."""

from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.members.classic.statistics import coleman_liau, statistics, statistics_of


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("It isn't bad.", "characters", np.log(14)),
        ("It isn't bad.", "words", np.log(4)),
        ("It isn't bad.", "word_length", 10 / 3),
        ("Wow! Is it 3.5 km? Yes...", "sentences", np.log(4)),
        ("one\ntwo", "sentences", np.log(3)),
        ("a b c. d e f.", "words_a_sentence", 3),
        ("The the THE cat", "distinct_words", 0.5),
        ("a wonderful train", "long_words", 1 / 3),
        ("ABCd", "upper_case", 0.75),
        ("New York is", "capital_words", 2 / 3),
        ("I am SO glad", "shouted_words", 0.25),  # the one letter of I shouts nothing
        ("a1b2c", "digits", 0.4),
        ("a,b.c", "punctuation", 0.4),
        ("no!! no!", "exclamation_marks", np.log(4)),
        ("who? me", "question_marks", np.log(2)),
        ('"a"', "quotes", 2 / 3),
        ("a,b,c", "commas", 0.4),
        ("aéb", "non_ascii", 1 / 3),
        ("ok😀é", "symbols", 0.25),
        ("sooo gooood day", "repeated_letters", 2 / 3),
    ],
)
def test_a_statistic_counted_by_hand(text, name, value):
    assert statistics_of(text)[name] == pytest.approx(value)


def test_the_readability_of_the_authors_own_example():
    # 537 letters and 4.20 sentences a hundred words come to grade 14.5
    assert coleman_liau(5370, 1000, 42) == pytest.approx(14.5, abs=0.05)


def test_longer_words_and_longer_sentences_ask_for_a_higher_grade():
    easy, long_words, long_sentence = (
        statistics_of(text)["coleman_liau"]
        for text in ("The cat sat. The dog ran.", "Cats meditate. Dogs hesitate.", "The cat sat on")
    )
    assert easy < long_sentence < long_words


def test_the_empty_text_is_0_in_all():
    assert set(statistics_of("").values()) == {0.0}


@given(st.text(st.sampled_from("aZé1 \n\t.!?…,'\"“—😀→\u0301\ud800\0ß漢")))
def test_any_text_has_finite_statistics_and_shares_stay_within_0_and_1(text):
    values = statistics_of(text)
    assert np.isfinite(list(values.values())).all()
    for name in ("distinct_words", "upper_case", "digits", "punctuation", "non_ascii", "symbols"):
        assert 0 <= values[name] <= 1


def test_a_long_run_of_marks_takes_no_longer_than_other_characters():
    start = process_time()
    statistics_of("." * 20_000 + "a")  # as in a table of contents; tried dot by dot it took 4 s
    assert process_time() - start < 1


def test_a_pair_has_those_of_both_and_the_words_they_share():
    (row,) = statistics([("Good film", "good dull old film !")])
    first, second = statistics_of("Good film"), statistics_of("good dull old film !")
    assert row[:-3].tolist() == [*first.values(), *second.values()]
    assert row[-3:].tolist() == [2 / 4, 2 / 2, 2 / 4]


def test_texts_without_words_share_nothing():
    assert statistics([("", "!")])[0, -3:].tolist() == [0, 0, 0]
