"""List what no config in configs/ names any more, with its size; remove it with --remove.

    python -m pipeline.clean            competitions, members, past folds, blends and backbones
    python -m pipeline.clean --remove

Reads configs/*.yaml, folds/, models/, oof/, submissions/ and reports/. Data, and submissions
of a competition with a config, are never touched.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.files.lock import competition_locked
from pipeline.files.paths import backbones_dir, folds_path, leaderboard_path
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
        total, predictors = 0, _predictors_by_competition()
        for competition in sorted(_competitions() | predictors.keys()):
            named = predictors.get(competition)
            if not unnamed(competition, named):
                continue
            with competition_locked(competition):  # whose stage may have named some of it by now
                for path in unnamed(competition, named):
                    size = _size(path)
                    total += size
                    print(f"{size / 1e6:10.1f} MB  {path}{'  removed' if remove else ''}")
                    if remove:
                        remove_remains([path])
        what = "removed" if remove else "that no config names; --remove removes them"
        print(f"{total / 1e6:10.1f} MB  {what}")


def unnamed(competition: str, predictors: set[str] | None) -> list[Path]:
    """Files and folders of a competition that no config names, and units of past folds.

    Args:
        predictors: those of its config; None if it has none, so that nothing is named.
    """
    if predictors is None:
        folds = folds_path(competition)
        paths = [Path(part, competition) for part in BY_COMPETITION]
        return [path for path in (*paths, folds, folds.with_suffix(".json")) if path.exists()]
    board, models = leaderboard_path(competition), Path("models", competition)
    blends = set(read_board(board)["name"]) if board.is_file() else set()
    runs = {path.parent: read_json(path) for path in models.glob("*/fold*/run.json")}

    def is_past(unit: Path) -> bool:
        """Whether it is a unit of folds that its member no longer has."""
        n_folds = runs.get(unit.with_name("fold0"), {}).get("n_folds")
        return n_folds is not None and unit.name not in {f"fold{k}" for k in range(n_folds)}

    encodings = [run.get("encoding") for unit, run in runs.items() if not is_past(unit)]
    named = {
        models: predictors | OURS,
        Path("oof", competition): predictors | blends,
        backbones_dir(competition): {e["backbone"] for e in encodings if e},
    }
    inner = [path for folder in named for path in folder.glob("[!.]*/")]
    past = [unit for unit in runs if unit.parent.name in predictors and is_past(unit)]
    return [*(path for path in inner if path.name not in named[path.parent]), *sorted(past)]


def _competitions() -> set[str]:
    """The competitions that have files, with or without a config."""
    folders = [path.name for part in BY_COMPETITION for path in Path(part).glob("[!.]*/")]
    return {*folders, *(path.stem for path in Path("folds").glob("[!.]*.csv"))}


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
