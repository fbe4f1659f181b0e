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
            self.codes[name] = None
            if as_numbers(cells) is None:
                categories = sorted({cell for cell in cells if cell.strip()})
                self.codes[name] = {category: k for k, category in enumerate(categories)}

    @property
    def categorical(self) -> list[int]:
        """Positions of the columns that hold categories."""
        return [at for at, codes in enumerate(self.codes.values()) if codes is not None]

    def values(self, columns: Columns) -> Floats:
        """(k, f) of the columns learned from, by name."""
        values = [
            [as_number(cell) if codes is None else codes.get(cell) for cell in columns[name]]
            for name, codes in self.codes.items()
        ]
        return np.array(values, dtype=np.float64).T  # None becomes NaN
