"""Statistics of a text: length, punctuation, case, readability. Letters: n rows, f features."""

import re

import numpy as np

from pipeline.members.units import Texts
from pipeline.scoring.tasks import Floats

WORD = re.compile(r"\w+(?:['’]\w+)*")
# a run of marks is tried once as a whole, or its time would grow with the square of its length
SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?=\s|$)|\n+")
REPEATED = re.compile(r"(.)\1\1")  # soooo


def statistics_of(text: str) -> dict[str, float]:
    """The statistics of a text by name; all are 0 for an empty text.

    Counts enter by log(1 + count), everything else as a share of the characters or words.
    """
    words = WORD.findall(text)
    n, n_words = max(1, len(text)), max(1, len(words))
    n_sentences = len([part for part in SENTENCE_END.split(text) if WORD.search(part)])
    n_letters = sum(map(str.isalpha, text))
    punctuation = sum(not (c.isalnum() or c.isspace()) for c in text)
    return {
        "characters": np.log1p(len(text)),
        "words": np.log1p(len(words)),
        "word_length": sum(map(len, words)) / n_words,
        "sentences": np.log1p(n_sentences),
        "words_a_sentence": len(words) / max(1, n_sentences),
        "distinct_words": len({word.casefold() for word in words}) / n_words,  # type-token ratio
        "long_words": sum(len(word) > 6 for word in words) / n_words,
        "upper_case": sum(map(str.isupper, text)) / n,
        "capital_words": sum(word[0].isupper() for word in words) / n_words,
        "shouted_words": sum(len(word) > 1 and word.isupper() for word in words) / n_words,
        "digits": sum(map(str.isdigit, text)) / n,
        "punctuation": punctuation / n,
        "exclamation_marks": np.log1p(text.count("!")),
        "question_marks": np.log1p(text.count("?")),
        "quotes": sum(text.count(mark) for mark in "\"'“”‘’") / n,
        "commas": text.count(",") / n,
        "non_ascii": sum(not c.isascii() for c in text) / n,
        # arrows, pictures, emoji
        "symbols": sum(ord(c) >= 0x2190 and not c.isalnum() for c in text) / n,
        "repeated_letters": len(REPEATED.findall(text)) / n_words,
        "coleman_liau": coleman_liau(n_letters, len(words), n_sentences),
    }


def coleman_liau(n_letters: int, n_words: int, n_sentences: int) -> float:
    """The school grade that a text requires; 0 without words.

    Unlike other readability indices it needs no syllables, so no dictionary (Coleman & Liau 1975,
    Journal of Applied Psychology 60:283).
    """
    if n_words == 0:
        return 0.0
    letters, sentences = 100 * n_letters / n_words, 100 * max(1, n_sentences) / n_words
    return 0.0588 * letters - 0.296 * sentences - 15.8


def statistics(texts: Texts) -> Floats:
    """(n, f) statistics of each text of a row, then the word overlap of a pair."""
    rows = [
        [value for text in row for value in statistics_of(text).values()] + _overlap(row)
        for row in texts
    ]
    return np.array(rows, dtype=np.float64)


def _overlap(row: tuple[str, ...]) -> list[float]:
    """A pair's common words as a share of all words (Jaccard), of the first's, of the second's."""
    if len(row) == 1:
        return []
    first, second = ({word.casefold() for word in WORD.findall(text)} for text in row)
    common = len(first & second)
    return [common / max(1, len(words)) for words in (first | second, first, second)]
