"""Columns of numbers and of categories as LightGBM reads them. Letters: k rows, f columns."""

import numpy as np

from pipeline.competition.features import Columns, as_number, as_numbers
from pipeline.scoring.tasks import Floats


class Tabular:
    """Numbers as they are, and categories as codes; what is missing or unseen is NaN.

    Args:
        columns: the rows to learn from; a column with a word among them holds categories.
    """

    def __init__(self, columns: Columns) -> None:
        self.codes: dict[str, dict[str, int] | None] = {}  # by category; None for numbers
        for name, cells in columns.items():
            categories = sorted({cell for cell in cells if cell.strip()})
            is_category = as_numbers(cells) is None
            self.codes[name] = {c: k for k, c in enumerate(categories)} if is_category else None

    @property
    def categorical(self) -> list[int]:
        """Positions of the columns that hold categories."""
        return [at for at, codes in enumerate(self.codes.values()) if codes is not None]

    def values(self, columns: Columns) -> Floats:
        """(k, f) of the columns learned from, by name."""
        return np.column_stack(
            [
                [_or_nan(as_number(c) if codes is None else codes.get(c)) for c in columns[name]]
                for name, codes in self.codes.items()
            ]
        )


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
