"""Paths of a competition's files."""

from pathlib import Path


def folds_path(competition: str) -> Path:
    return Path("folds") / f"{competition}.csv"


def lock_path(competition: str) -> Path:
    return Path("folds") / f".{competition}.lock"


def unit_dir(competition: str, member: str, fold: int) -> Path:
    return Path("models") / competition / member / f"fold{fold}"


def backbones_dir(competition: str) -> Path:
    return Path("models") / competition / "backbones"


def blends_dir(competition: str) -> Path:
    return Path("models") / competition / "blend"


def predictor_dir(competition: str, predictor: str) -> Path:
    return Path("oof") / competition / predictor


def leaderboard_path(competition: str) -> Path:
    return Path("oof") / competition / "leaderboard.csv"


def history_path(competition: str) -> Path:
    return Path("oof") / competition / "history.csv"


def submission_path(competition: str, predictor: str) -> Path:
    return Path("submissions") / competition / f"{predictor}.csv"


def report_path(competition: str) -> Path:
    return Path("reports") / competition / "index.html"


def folders_of(competition: str) -> list[Path]:
    """The folders that stages write to, except those of units, which have locks of their own."""
    parts = [Path(part) / competition for part in ("oof", "submissions", "reports")]
    return [*parts, backbones_dir(competition), blends_dir(competition)]
