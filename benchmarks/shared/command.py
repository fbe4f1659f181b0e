"""A benchmark's command line, and its work side by side."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.members.jobs import run_all
from pipeline.members.pieces import Failure, Piece
from pipeline.settings.config import Jobs


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the module's docstring, line breaks kept."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_pieces(
    function: Callable[..., Any],
    pieces: Sequence[tuple[str, tuple[Any, ...]]],
    n_jobs: int | None,
    title: str,
) -> list[Any]:
    """Results of `function(*arguments)` for each (label, arguments), one thread each.

    Raises:
        SystemExit: a piece failed.
    """
    calls = [Piece(*piece) for piece in pieces]
    results = run_all(function, calls, Jobs(n_jobs=n_jobs, threads=1), title=title)
    for result in results:
        if isinstance(result, Failure):
            raise SystemExit(f"{result.label} failed:\n{result.details}")
    return results
