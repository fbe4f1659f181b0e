"""Columns of numbers and of categories that stand beside the texts. Letters: n rows.

A column holds numbers if each of its cells is a number or says that it is missing, else categories.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.spelling import in_print, is_missing
from pipeline.competition.targets import as_number

Columns = Mapping[str, Sequence[str]]  # (n,) cells by the name of the column
NO_COLUMNS: Columns = {}
MANY = 0.5  # distinct categories over rows from which hardly any category recurs


def as_numbers(cells: Sequence[str]) -> list[float | None] | None:
    """(n,) numbers, None where one is missing; None for a column of categories."""
    numbers = [as_number(cell) for cell in cells]
    is_word = (x is None and not is_missing(c) for x, c in zip(numbers, cells, strict=True))
    return None if any(is_word) or set(numbers) == {None} else numbers


def rows_of(columns: Columns, at: Sequence[int] | NDArray[np.int64]) -> Columns:
    """The cells of some rows."""
    return {name: [cells[row] for row in at] for name, cells in columns.items()}


def lines_about(columns: Columns, test_columns: Columns) -> list[str]:
    """A line for each column: how models read it, and a warning where that looks wrong."""
    lines = []
    for name, cells in columns.items():
        test_cells, numbers = test_columns[name], as_numbers(cells)
        if numbers is not None:
            n_missing = numbers.count(None)
            lines.append(f"feature {name!r}: numbers, {n_missing} of {len(cells)} missing")
            unseen = [c for c in test_cells if as_number(c) is None and not is_missing(c)]
        else:
            seen = {cell for cell in cells if cell.strip()}
            unseen = [cell for cell in test_cells if cell.strip() and cell not in seen]
            lines.append(f"feature {name!r}: {len(seen)} categories")
            words = [c for c in seen if as_number(c) is None and not is_missing(c)]
            if 0 < len(words) < MANY * len(seen):
                lines.append(
                    f"warning: feature {name!r}: most cells are numbers, but {min(words)!r} makes "
                    "them categories; leave such cells empty"
                )
            elif len(seen) > MANY * len(cells):
                lines.append(
                    f"warning: feature {name!r}: {len(seen)} categories in {len(cells)} rows, "
                    "hardly any recurs; make numbers of them, or leave the column out"
                )
        if unseen:
            lines.append(
                f"feature {name!r}: {len(unseen)} of {len(test_cells)} test rows hold what no "
                f"training row holds, such as {in_print(unseen[0])}; lightgbm_text takes that as "
                "missing"
            )
    return lines
