"""List what no config in configs/ names any more, with its size; remove it with --remove.

    python -m pipeline.clean            whole competitions, members, blends and backbones
    python -m pipeline.clean --remove

Reads configs/*.yaml, folds/, models/, oof/, submissions/ and reports/. Data, and submissions
of a competition with a config, are never touched.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.files.lock import competition_locked
from pipeline.files.paths import backbones_dir, leaderboard_path
from pipeline.files.reading import read_json
from pipeline.files.writing import remove_remains
from pipeline.predictors.board import external_folders, member_folders, read_board
from pipeline.settings.command import configs_in, one_line_errors, parse

BY_COMPETITION = ("models", "oof", "submissions", "reports")
OURS = {"backbones", "blend"}  # folders of a competition that are no member's


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        parser = argparse.ArgumentParser(
            description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--remove", action="store_true", help="remove what is listed")
        remove = parser.parse_args(argv).remove
        total = 0
        for competition, paths in unnamed(_predictors_by_competition()).items():
            with competition_locked(competition):  # no stage works on what is removed
                for path in paths:
                    size = _size(path)
                    total += size
                    print(f"{size / 1e6:10.1f} MB  {path}{'  removed' if remove else ''}")
                    if remove:
                        remove_remains([path])
        what = "removed" if remove else "that no config names; --remove removes them"
        print(f"{total / 1e6:10.1f} MB  {what}")


def unnamed(predictors: Mapping[str, set[str]]) -> dict[str, list[Path]]:
    """Files and folders that no config names, by competition.

    Args:
        predictors: names of the predictors of each competition that has a config.
    """
    folders = [path for part in BY_COMPETITION for path in Path(part).glob("[!.]*/")]
    paths = {
        competition: _unnamed_in(competition, names) for competition, names in predictors.items()
    }
    for path in [*folders, *Path("folds").glob("[!.]*.csv")]:
        competition = path.stem if path.is_file() else path.name  # a folder's may end with .csv
        if competition not in predictors:
            files = [path, path.with_suffix(".json")] if path.is_file() else [path]
            paths.setdefault(competition, []).extend(f for f in files if f.exists())
    return {competition: own for competition, own in paths.items() if own}


def _unnamed_in(competition: str, predictors: set[str]) -> list[Path]:
    board, models = leaderboard_path(competition), Path("models", competition)
    blends = set(read_board(board)["name"]) if board.is_file() else set()
    encodings = [read_json(path).get("encoding") for path in models.glob("*/fold*/run.json")]
    named = {
        models: predictors | OURS,
        Path("oof", competition): predictors | blends,
        backbones_dir(competition): {e["backbone"] for e in encodings if e},
    }
    inner = [path for folder in named for path in folder.glob("[!.]*/")]
    return [path for path in inner if path.name not in named[path.parent]]


def _predictors_by_competition() -> dict[str, set[str]]:
    """Members and external predictors of every config, and of its --quick run."""
    predictors: dict[str, set[str]] = {}
    for path in configs_in([str(path) for path in sorted(Path("configs").glob("*"))]):
        for words in ([path], [path, "--quick"]):
            config, _ = parse(None, words)
            named = predictors.setdefault(config.competition, set())
            named |= member_folders(config).keys() | external_folders(config).keys()
    return predictors


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


if __name__ == "__main__":
    main()
