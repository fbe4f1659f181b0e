"""Texts as weighted counts of words and of characters. Letters: n rows, f features."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

Texts = Sequence[tuple[str, ...]]

LONGEST_WORD = 100  # characters; what is longer is a text without spaces, or data


class Tfidf:
    """TF-IDF (Salton & Buckley 1988) of one and two words, and of 2 to 5 characters within a word.

    Counts enter by 1 + log, and what stands in one text only is left out. Word pairs are what made
    linear models hard to beat on short texts (Wang & Manning 2012); characters see through
    misspellings and endings (Cavnar & Trenkle 1994), and see emoticons. Of a pair there are the
    weights of each text, in one vocabulary, their products, which are not 0 where both texts say
    the same, and the sum of these, the cosine.

    Args:
        max_features: most frequent terms kept, of words and of characters each.
    """

    def __init__(self, max_features: int) -> None:
        self.max_features = max_features

    def fit_transform(self, texts: Texts) -> csr_matrix:
        """(n, f) of the texts whose terms are counted here."""
        self.n_texts = len(texts[0])
        flat = [text for row in texts for text in row]
        self.vectorizers, weights = [], []
        for vectorizer in self._vectorizers():
            try:
                weights.append(vectorizer.fit_transform(flat))
            except ValueError:  # no term stands in two texts
                continue
            # an address in memory: kept, equal fits would be files that differ
            vectorizer.__dict__.pop("_stop_words_id", None)
            self.vectorizers.append(vectorizer)
        parts = [[w[k :: self.n_texts] for k in range(self.n_texts)] for w in weights]
        return self._joined(len(texts), parts)

    def transform(self, texts: Texts) -> csr_matrix:
        """(k, f); the first column is 0, so that there is one even for texts without any term."""
        columns = [[row[k] for row in texts] for k in range(self.n_texts)]
        parts = [[v.transform(column) for column in columns] for v in self.vectorizers]
        return self._joined(len(texts), parts)

    def _joined(self, n: int, parts: list[list[csr_matrix]]) -> csr_matrix:
        """(n, f) of the weights of each vectoriser, one matrix a text of a row."""
        blocks = [csr_matrix((n, 1))]
        for weights in parts:
            blocks += weights
            if self.n_texts == 2:
                products = weights[0].multiply(weights[1])
                blocks += [products, csr_matrix(products.sum(axis=1))]
        return hstack(blocks).tocsr().astype(np.float64)

    def _vectorizers(self) -> list[TfidfVectorizer]:
        common = {"min_df": 2, "sublinear_tf": True, "max_features": self.max_features}
        return [
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **common),
            TfidfVectorizer(analyzer=character_grams, **common),
        ]


def character_grams(text: str) -> list[str]:
    """Runs of 2 to 5 characters of each word, its ends marked by a space.

    What is longer than a word is cut into pieces, which the cache below can bear.
    """
    pieces = (
        word[k : k + LONGEST_WORD]
        for word in text.lower().split()
        for k in range(0, len(word), LONGEST_WORD)
    )
    return [gram for piece in pieces for gram in _grams_of_word(piece)]


@lru_cache(maxsize=2**14)  # words recur; scikit-learn's char_wb computes the runs again each time
def _grams_of_word(word: str) -> tuple[str, ...]:
    marked = f" {word} "
    return tuple(
        marked[k : k + size] for size in (2, 3, 4, 5) for k in range(len(marked) - size + 1)
    )
