"""TF-IDF of words and characters. Letters: n rows, k new rows, f features."""

from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.members.units import Texts


class Tfidf:
    """TF-IDF (Salton & Buckley 1988) of words and word pairs, and of 2 to 5 characters of a word.

    Counts enter as 1 + log; terms of a single text are left out. Word pairs make linear models hard
    to beat on short texts (Wang & Manning 2012); characters match misspellings, endings (Cavnar &
    Trenkle 1994) and emoticons. The features of a pair are the weights of each text, in one
    vocabulary, their products, and the sum of the products, which is the cosine.
    """

    def __init__(self, max_features: int) -> None:
        self.max_features = max_features

    def fit_transform(self, texts: Texts) -> csr_matrix:
        """Learn the terms of the texts; their features (n, f)."""
        self.n_texts = len(texts[0])
        flat = [text for row in texts for text in row]
        common = {"min_df": 2, "sublinear_tf": True, "max_features": self.max_features}
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **common)
        characters = TfidfVectorizer(ngram_range=(2, 5), analyzer="char_wb", **common)
        self.vectorizers, weights = [], []
        for vectorizer in (words, characters):
            try:
                weights.append(vectorizer.fit_transform(flat))
            except ValueError:  # no two texts share a term
                continue
            # a memory address, with which equal fits would make different files
            vectorizer.__dict__.pop("_stop_words_id", None)
            self.vectorizers.append(vectorizer)
        parts = [[w[k :: self.n_texts] for k in range(self.n_texts)] for w in weights]
        return self._joined(len(texts), parts)

    def transform(self, texts: Texts) -> csr_matrix:
        """Features (k, f); the first is always 0, so that there is at least one."""
        columns = [[row[k] for row in texts] for k in range(self.n_texts)]
        parts = [[v.transform(column) for column in columns] for v in self.vectorizers]
        return self._joined(len(texts), parts)

    def _joined(self, n: int, parts: list[list[csr_matrix]]) -> csr_matrix:
        """Features (n, f) from each vectoriser's weights, one matrix per text of a row."""
        blocks = [csr_matrix((n, 1))]
        for weights in parts:
            blocks += weights
            if self.n_texts == 2:
                products = weights[0].multiply(weights[1])
                blocks += [products, csr_matrix(products.sum(axis=1))]
        return hstack(blocks, format="csr")
