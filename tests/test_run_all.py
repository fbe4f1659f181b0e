"""What run_all.sh makes of its command line: the stages in order, each with the same words."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ["prepare", "make_folds", "train", "predict", "blend", "submit", "report"]
QUICK = (
    "--folds.n 2 --training.epochs 1 --members mean attention --data.train_rows 800 "
    "--blend.external"
)


@pytest.fixture
def told(tmp_path):
    """Runs the script with an `echo` for its Python and returns the lines."""
    shutil.copy(ROOT / "run_all.sh", tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "environment.sh").write_text("use_environment() { PYTHON=echo; }\n")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tweets.yaml").write_text("competition: tweets\n")
    (tmp_path / "configs" / "My File.yaml").write_text("competition: mine  # not the file's name\n")

    def run(*words: str) -> list[str]:
        command = ["bash", str(tmp_path / "run_all.sh"), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split(
            "\n"
        )[:-1]

    return run


def test_without_words_all_stages_run_on_the_demo(told):
    assert told() == [f"-m pipeline.{stage} configs/tweets.yaml" for stage in STAGES]


def test_help_shows_the_usage_and_starts_nothing(told):
    for words in (("--help",), ("-h",), ("configs/r8.yaml", "--help")):
        usage = told(*words)
        assert "  ./run_all.sh --quick" in "\n".join(usage)
        assert len(usage) < 10
        assert not any(line.startswith(("#", "-m")) for line in usage)


def test_another_config_and_overrides_reach_every_stage(told):
    lines = told("configs/r8.yaml", "--training.epochs", "1", "--members", "a b", "c")
    words = "configs/r8.yaml --training.epochs 1 --members a b c"
    assert lines == [f"-m pipeline.{stage} {words}" for stage in STAGES]


def test_a_quick_run_is_a_competition_of_its_own(told):
    words = f"configs/tweets.yaml --competition tweets-quick {QUICK}"
    assert told("--quick") == [f"-m pipeline.{stage} {words}" for stage in STAGES]


def test_a_quick_run_takes_the_competitions_name_and_not_the_files(told):
    words = f"configs/My File.yaml --competition mine-quick {QUICK}"
    assert told("configs/My File.yaml", "--quick")[0] == f"-m pipeline.prepare {words}"


def test_what_is_typed_wins_over_what_quick_stands_for(told):
    words = f"configs/tweets.yaml --competition tweets-quick {QUICK} --members mean max"
    for typed in (("--members", "mean", "max", "--quick"), ("--quick", "--members", "mean", "max")):
        assert told(*typed)[0] == f"-m pipeline.prepare {words}"
