"""TF-IDF features on texts short enough to count by hand."""

import numpy as np
import pytest

from pipeline.members.classic.tfidf import Tfidf

TEXTS = [("warm film",), ("warm film",), ("warm",)]


def words_and_characters(texts, max_features=100):
    """The fitted features, and the vocabularies of words and of characters."""
    features = Tfidf(max_features)
    values = features.fit_transform(texts).toarray()
    words, characters = (vectorizer.vocabulary_ for vectorizer in features.vectorizers)
    return features, values, words, characters


def test_characters_are_runs_of_2_to_5_of_a_word_between_spaces():
    _, _, _, characters = words_and_characters([("Abc d",), ("abc D",)])
    of_abc = [" a", "ab", "bc", "c ", " ab", "abc", "bc ", " abc", "abc ", " abc "]
    assert set(characters) == {*of_abc, " d", "d ", " d "}


def test_terms_are_words_and_pairs_of_words_that_two_texts_share():
    _, _, words, characters = words_and_characters([*TEXTS, ("alone film",)])
    assert set(words) == {"warm", "film", "warm film"}
    assert "warm" in characters
    assert "alone" not in characters


def test_a_word_counts_by_one_plus_the_log_of_its_number():
    features, _, words, _ = words_and_characters(TEXTS)
    new = features.transform([("warm warm warm film film",)]).toarray()[0]
    at = {word: 1 + column for word, column in words.items()}  # behind the column of zeros
    idf = {word: np.log((1 + 3) / (1 + n)) + 1 for word, n in (("warm", 3), ("film", 2))}
    found = new[at["warm"]] / new[at["film"]]
    by_hand = (1 + np.log(3)) * idf["warm"] / ((1 + np.log(2)) * idf["film"])
    assert found == pytest.approx(by_hand)


def test_a_pair_has_both_texts_their_products_and_their_cosine():
    pairs = [("warm film", "film warm"), ("warm film", "dull train"), ("warm", "dull train")]
    _, values, words, characters = words_and_characters(pairs)
    at = 1  # behind the column of zeros
    for n in (len(words), len(characters)):
        first, second, products = (values[:, at + k * n : at + (k + 1) * n] for k in range(3))
        at += 3 * n
        np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1)
        np.testing.assert_allclose(np.linalg.norm(second, axis=1), 1)
        np.testing.assert_allclose(products, first * second)
        np.testing.assert_allclose(values[:, at], (first * second).sum(axis=1))
        at += 1
    assert at == values.shape[1]
    np.testing.assert_allclose(values[1:, at - 1], 0, atol=0.2)
