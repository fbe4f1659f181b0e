"""A metric of the user's own: a function in a Python file.

Letters: n rows, c columns. The shapes that the function gets: docs/metrics.md, "Your own metric".
"""

import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.files.suggestions import choices
from pipeline.scoring.formulas import SampleScore
from pipeline.scoring.tasks import Floats

REMEDY = "return a finite number, or NaN where the metric is undefined"


@dataclass(frozen=True)
class OwnFunction:
    """The function, read from its file at the first call."""

    file: str
    function: str

    def __reduce__(self) -> tuple[type["OwnFunction"], tuple[str, str]]:
        return OwnFunction, (self.file, self.function)  # other processes read the file again

    def __call__(self, y: NDArray[Any], p: NDArray[Any]) -> float:
        """The score.

        Raises:
            ValueError: the function raised, or returned no number or infinity.
        """
        y, p = (a[:, 0] if a.shape[1:] == (1,) else a for a in (y, p))
        where, function = f"{self.file}: {self.function} on {len(y)} rows", self._read
        try:
            value = function(y, p)
        except (Exception, SystemExit) as error:  # or the stage would end as if all were well
            raise ValueError(f"{where} {self._in_a_line(error)}; correct it, or {REMEDY}") from None
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if not isinstance(value, Real) or math.isinf(value):
            shown = " ".join(repr(value).split())[:80]
            raise ValueError(f"{where} returned {shown}; {REMEDY}")
        return float(value)

    def scorer(self, y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
        """Its score on samples of the rows, by a call for each, which may change what it gets."""

        def score(counts: Floats) -> Floats:
            rows = (np.repeat(np.arange(len(y)), times.astype(int)) for times in counts)
            return np.array([self(y[drawn], p[drawn]) for drawn in rows])

        return score

    @cached_property
    def source(self) -> str:
        """The text of the file, which determines the metric."""
        try:
            return Path(self.file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problem = getattr(error, "strerror", None) or "not UTF-8"
            raise ValueError(
                f"metric.file: {self.file}: {problem}; give the path of a Python file, from the "
                "working directory"
            ) from None

    @cached_property
    def _read(self) -> Callable[..., object]:
        source = self.source
        # a module of its own, in sys.modules as dataclasses need it; no bytecode, which may be old
        module = ModuleType(f"own_metric_{abs(hash(source))}")
        module.__file__ = self.file
        sys.modules[module.__name__] = module
        try:
            exec(compile(source, self.file, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            problem = self._in_a_line(error)
            raise ValueError(f"metric.file: {self.file} {problem}; correct it") from None
        function = getattr(module, self.function, None)
        if not callable(function):
            names = (name for name, value in vars(module).items() if callable(value))
            known = [name for name in names if not name.startswith("_")]
            raise ValueError(
                f"metric.function: {self.file} has no function {self.function!r}; "
                + (choices(self.function, known) if known else "define it there")
            )
        return function

    def _in_a_line(self, error: BaseException) -> str:
        """What the file raised, with the number of its last line that the error passed."""
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == self.file
        ]
        if isinstance(error, SyntaxError):
            lines = [error.lineno]
        at = f" in line {lines[-1]}" if lines else ""
        message = " ".join(str(error).split())
        return f"raised {type(error).__name__}{at}" + (f": {message[:200]}" if message else "")
