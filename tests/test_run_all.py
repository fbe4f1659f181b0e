"""run_all.sh runs the stages in order, each with the same arguments."""

import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import hear_interrupts

from pipeline import prepare

ROOT = Path(__file__).parents[1]
STAGES = ["prepare", "make_folds", "train", "predict", "blend", "submit", "report"]


@pytest.fixture
def told(tmp_path):
    """Runs the script with an `echo` for its Python and returns the lines."""
    shutil.copy(ROOT / "run_all.sh", tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "environment.sh").write_text("use_environment() { PYTHON=echo; }\n")

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


def test_quick_is_passed_on_to_the_stages(told):
    assert told("--quick") == [
        f"-m pipeline.{stage} configs/tweets.yaml --quick" for stage in STAGES
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("--quick", "configs/senti.yaml"),
        ("configs/senti.yaml", "--quick"),
        ("--members", "mean", "max", "configs/senti.yml", "--seed", "1"),
        ("--blend.external", "configs/My File.yaml"),
    ],
)
def test_the_config_may_stand_anywhere_and_the_demo_is_left_out(told, words):
    assert told(*words) == [f"-m pipeline.{stage} {' '.join(words)}" for stage in STAGES]


def test_a_path_in_an_option_of_one_word_is_no_config(told):
    lines = told("--folds.path=own.yaml")
    assert lines[0] == "-m pipeline.prepare configs/tweets.yaml --folds.path=own.yaml"


@pytest.fixture
def script(tmp_path):
    """Writes the script's Python as a shell script and returns the command to run the stages."""
    shutil.copy(ROOT / "run_all.sh", tmp_path)
    (tmp_path / "scripts").mkdir()

    def write(python: str) -> list[str]:
        fake = tmp_path / "python"
        fake.write_text(f"#!/bin/bash\n{python}\n")
        fake.chmod(0o755)
        environment = f"use_environment() {{ PYTHON={shlex.quote(str(fake))}; }}\n"
        (tmp_path / "scripts" / "environment.sh").write_text(environment)
        return ["bash", str(tmp_path / "run_all.sh")]

    return write


def test_a_failing_stage_stops_the_script_with_its_exit_code(script):
    command = script('echo $2; [ "$2" != pipeline.train ] || exit 7')
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 7
    assert done.stdout.split() == ["pipeline.prepare", "pipeline.make_folds", "pipeline.train"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_stage_and_starts_no_other(script, number, code):
    told = "trap 'echo ended; exit 0' TERM; echo $2; while :; do sleep 0.05; done"
    command = script(told)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "pipeline.prepare\n"
        run.send_signal(number)
        assert run.stdout.read() == "ended\n"
    assert run.returncode == code


def test_a_word_that_is_no_config_stops_at_the_first_stage(workplace):
    """The demo is not trained in the place of a config that is spelled wrong."""
    for words in (["--quick", "configs/senti"], ["configs/senti.yaml", "--quick"]):
        demo = [] if "configs/senti.yaml" in words else ["configs/tweets.yaml"]
        with pytest.raises(SystemExit, match="^2$"):
            prepare.main([*demo, *words])
