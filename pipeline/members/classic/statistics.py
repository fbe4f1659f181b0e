"""What can be counted in a text: length, punctuation, case, readability. Letters: n rows."""

import re
from collections.abc import Sequence

import numpy as np

from pipeline.scoring.tasks import Floats

WORD = re.compile(r"\w+(?:['’]\w+)*")
SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)|\n+")
REPEATED = re.compile(r"(.)\1\1")  # soooo

NAMES = (
    "characters",
    "words",
    "word_length",
    "sentences",
    "words_a_sentence",
    "distinct_words",
    "long_words",
    "upper_case",
    "capital_words",
    "shouted_words",
    "digits",
    "punctuation",
    "exclamation_marks",
    "question_marks",
    "quotes",
    "commas",
    "non_ascii",
    "symbols",
    "repeated_letters",
    "coleman_liau",
)


def statistics_of(text: str) -> list[float]:
    """The statistics of a text, in the order of `NAMES`; all are 0 for an empty one.

    Counts enter by log(1 + count), everything else as a share of the characters or words.
    """
    words = WORD.findall(text)
    n, n_words = max(1, len(text)), max(1, len(words))
    n_sentences = len([part for part in SENTENCE_END.split(text) if WORD.search(part)])
    n_letters = sum(map(str.isalpha, text))
    punctuation = sum(not (c.isalnum() or c.isspace()) for c in text)
    return [
        np.log1p(len(text)),
        np.log1p(len(words)),
        sum(map(len, words)) / n_words,
        np.log1p(n_sentences),
        len(words) / max(1, n_sentences),
        len({word.casefold() for word in words}) / n_words,  # the type-token ratio
        sum(len(word) > 6 for word in words) / n_words,
        sum(map(str.isupper, text)) / n,
        sum(word[0].isupper() for word in words) / n_words,
        sum(len(word) > 1 and word.isupper() for word in words) / n_words,
        sum(map(str.isdigit, text)) / n,
        punctuation / n,
        np.log1p(text.count("!")),
        np.log1p(text.count("?")),
        sum(text.count(mark) for mark in "\"'“”‘’") / n,
        text.count(",") / n,
        sum(not c.isascii() for c in text) / n,
        sum(ord(c) >= 0x2190 and not c.isalnum() for c in text) / n,  # arrows, pictures, emoji
        len(REPEATED.findall(text)) / n_words,
        coleman_liau(n_letters, len(words), n_sentences),
    ]


def coleman_liau(n_letters: int, n_words: int, n_sentences: int) -> float:
    """The school grade that a text asks for; 0 without words.

    It counts letters where others count syllables, which need a dictionary (Coleman & Liau 1975,
    Journal of Applied Psychology 60:283).
    """
    if n_words == 0:
        return 0.0
    letters, sentences = 100 * n_letters / n_words, 100 * max(1, n_sentences) / n_words
    return 0.0588 * letters - 0.296 * sentences - 15.8


def statistics(texts: Sequence[tuple[str, ...]]) -> Floats:
    """(n, one of each of `NAMES` a text, and what the texts of a pair share)."""
    rows = [
        [value for text in row for value in statistics_of(text)] + _overlap(row) for row in texts
    ]
    return np.array(rows, dtype=np.float64)


def _overlap(row: tuple[str, ...]) -> list[float]:
    """Of a pair: the share of common words among all (Jaccard), the first's and the second's."""
    if len(row) == 1:
        return []
    first, second = ({word.casefold() for word in WORD.findall(text)} for text in row)
    common = len(first & second)
    return [common / max(1, len(words)) for words in (first | second, first, second)]
