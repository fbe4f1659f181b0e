"""`python -m pipeline` runs the stages in order, each with the same words."""

import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from pipeline import infer, prepare
from pipeline.__main__ import STAGES, main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def told(monkeypatch):
    """Run all stages, which only note that they ran; (stage, words) of each."""
    made: list[tuple[str, tuple[str, ...]]] = []

    def run(*words: str, failing: str = "") -> list[tuple[str, tuple[str, ...]]]:
        def stage(name, argv):
            made.append((name, tuple(argv)))
            if name == failing:
                raise SystemExit(7)

        for name in STAGES:
            module = import_module(f"pipeline.{name}")
            monkeypatch.setattr(module, "main", lambda argv, name=name: stage(name, argv))
        try:
            main(words)
        finally:
            run.stages = [name for name, _ in made]
        return made

    return run


def test_stages_run_in_their_order_and_say_how_long_they_took(told, capsys):
    stages = ["prepare", "make_folds", "train", "predict", "blend", "submit", "report"]
    assert [name for name, _ in told("configs/a.yaml")] == stages
    assert capsys.readouterr().out == "".join(f"{name}: 0 s\n\n" for name in stages)


@pytest.mark.parametrize("words", [(), ("--quick",), ("--folds.path=own.yaml",)])
def test_without_a_config_the_demo_is_run(told, words):
    assert {argv for _, argv in told(*words)} == {("configs/tweets.yaml", *words)}


@pytest.mark.parametrize(
    "words",
    [
        ("configs/r8.yaml", "--training.epochs", "1", "--members", "a b", "c"),
        ("--quick", "configs/senti.yaml"),
        ("configs/senti.yaml", "--quick"),
        ("--members", "mean", "max", "configs/senti.yml", "--seed", "1"),
        ("--blend.external", "configs/My File.yaml"),
    ],
)
def test_the_config_may_stand_anywhere_and_every_stage_gets_the_words(told, words):
    assert {argv for _, argv in told(*words)} == {words}


def test_a_failing_stage_stops_the_run_with_its_exit_code(told, capsys):
    with pytest.raises(SystemExit, match="^7$"):
        told(failing="train")
    assert told.stages == ["prepare", "make_folds", "train"]
    assert "train" not in capsys.readouterr().out


def test_help_shows_the_usage_and_starts_nothing(told, capsys):
    for words in (("--help",), ("-h",), ("configs/r8.yaml", "--help")):
        assert told(*words) == []
        assert "  ./run_all.sh --quick" in capsys.readouterr().out


def test_the_script_shows_the_same_help_and_installs_nothing(tmp_path):
    """Without any Python at hand."""
    command = ["/bin/bash", str(ROOT / "run_all.sh"), "configs/r8.yaml", "--help"]
    (tmp_path / "sed").symlink_to("/bin/sed")
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)})
    assert done.stdout.strip() == import_module("pipeline.__main__").__doc__.strip()
    assert done.stderr == ""


def test_without_an_installation_the_words_reach_python3_as_it_is(tmp_path):
    (tmp_path / "python3").write_text('#!/bin/bash\necho "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    words = ["configs/a.yaml", "--no-install", "--members", "a b"]
    command = ["bash", str(ROOT / "run_all.sh"), *words]
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": path}, check=True)
    assert done.stdout == "-m pipeline configs/a.yaml --members a b\n"


def test_a_first_word_that_is_no_config_is_not_taken_for_words_about_the_demo(told):
    assert told("senti", "--quick")[0] == ("prepare", ("senti", "--quick"))


def test_a_word_that_is_no_config_stops_at_the_first_stage(workplace):
    """The demo is not trained in the place of a config that is spelled wrong."""
    for words in (["--quick", "configs/senti"], ["configs/senti.yaml", "--quick"]):
        demo = [] if "configs/senti.yaml" in words else ["configs/tweets.yaml"]
        with pytest.raises(SystemExit, match="^2$"):
            prepare.main([*demo, *words])


@pytest.mark.parametrize(("members", "words"), [(None, ()), ([], ("--quick",))])
def test_external_predictors_alone_go_through_all_stages(
    reported, workplace, capsys, members, words
):
    """Nothing is trained; with --quick they are blended on all rows, of which they are."""
    shutil.copytree(reported("regression") / "data", "data")
    for name in ("mean", "max", "min"):
        for part in ("oof", "test"):
            Path("theirs", name).mkdir(parents=True, exist_ok=True)
            made = reported("regression") / "oof/tiny" / name / f"{part}.csv"
            shutil.copy(made, Path("theirs", name))
    config = yaml.safe_load((reported("regression") / "configs/tiny.yaml").read_text("utf-8"))
    config = {key: config[key] for key in ("competition", "task", "metric", "data")}
    config["blend"] = {"external": ["theirs/mean", "theirs/max"], "methods": ["mean", "convex"]}
    if members is not None:
        config["members"] = members
    Path("alone.yaml").write_text(yaml.safe_dump(config), "utf-8")
    main(["alone.yaml", *words])
    told, name = capsys.readouterr().out, "tiny-quick" if words else "tiny"
    assert "nothing to train" in told
    assert "nothing to predict" in told
    assert Path(f"submissions/{name}/submission.csv").is_file()
    assert Path(f"reports/{name}/index.html").is_file()
    with pytest.raises(SystemExit, match="^2$"):
        infer.main(["alone.yaml", *words])
    assert "--predictor" not in capsys.readouterr().err  # no name would help
