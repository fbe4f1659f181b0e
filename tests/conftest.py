"""A small competition of every task as files, for tests of whole stages."""

import csv
import gc
import os
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

# all tests but those of test_gpu.py are about the CPU, on a machine with a GPU too
os.environ.setdefault("GPUS_OF_THE_MACHINE", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
os.environ["CUDA_VISIBLE_DEVICES"] = ""

GOOD = ["splendid", "warm", "bright", "clever"]
BAD = ["dull", "grim", "clumsy", "stale"]
PLAIN = ["the", "film", "about", "a", "train", "and", "its", "driver", "goes", "on"]
CLASSES = {"sport": ["goal", "match"], "money": ["bank", "loan"], "id": ["birth", "passport"]}
METRICS = {"regression": "rmse", "binary": "auc", "multiclass": "accuracy", "multilabel": "auc"}


def pytest_collection_finish() -> None:
    """Training and joblib collect garbage; a walk through all imports and tests takes longer."""
    gc.collect()
    gc.freeze()


def write_competition(
    folder: Path,
    task: str,
    *,
    n_rows: int = 60,
    n_test: int = 20,
    name: str = "tiny",
    settings: dict[str, Any] | None = None,
) -> Path:
    """Write a competition whose words tell the target, and its YAML, to be used in `folder`.

    Columns: id (a000, a001, ...; tests b000, ...; both shuffled), document (two rows each), text,
    and the target: target (regression, binary yes or no, multiclass sport, money or id) or funny,
    sad and long (multilabel). The sample submission is in reverse order.

    Args:
        settings: merged into the YAML, section by section; None takes a section out.
    Returns:
        The YAML's path, from `folder`.
    """
    data = folder / "data" / name
    rng = np.random.default_rng(0)
    rows = [MAKERS[task](rng) for _ in range(n_rows + n_test)]
    # in ascending order a table that was sorted by id would look right
    train_ids, test_ids = (np.random.default_rng(1).permutation(n) for n in (n_rows, n_test))
    targets = ["funny", "sad", "long"] if task == "multilabel" else ["target"]
    train = [
        {
            "id": f"a{train_ids[k]:03}",
            "document": f"d{k // 2}",
            "text": text,
            **dict(zip(targets, y, strict=True)),
        }
        for k, (text, y) in enumerate(rows[:n_rows])
    ]
    test = [
        {"id": f"b{test_ids[k]:03}", "document": f"t{k // 2}", "text": text}
        for k, (text, _) in enumerate(rows[n_rows:])
    ]
    columns = sorted(CLASSES) if task == "multiclass" else targets
    write_rows(data / "train.csv", list(train[0]), [list(row.values()) for row in train])
    write_rows(data / "test.csv", list(test[0]), [list(row.values()) for row in test])
    sample = [[row["id"], *("0.5" for _ in columns)] for row in reversed(test)]
    write_rows(data / "sample_submission.csv", ["id", *columns], sample)
    config: dict[str, Any] = {
        "competition": name,
        "task": task,
        "metric": METRICS[task],
        "data": {
            "train": f"data/{name}/train.csv",
            "test": f"data/{name}/test.csv",
            "sample_submission": f"data/{name}/sample_submission.csv",
            "target": targets,
        },
        "folds": {"n": 3},
        "backbone": "nobody/tiny",
        "members": [{"pooling": "mean"}, {"pooling": "max"}],
    }
    for key, value in (settings or {}).items():
        if value is None:
            del config[key]
        else:
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    path = folder / "configs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path.relative_to(folder)


CONFIG = Path("configs/tiny.yaml")


def stage(name: str, *words: str) -> None:
    """Run a stage on the competition `tiny` of the current folder."""
    import_module(f"pipeline.{name}").main([str(CONFIG), *words])


def stages(*names: str, words: Sequence[str] = ()) -> None:
    for name in names:
        stage(name, *words)


def change_config(**settings: Any) -> None:
    """Replace keys of its YAML."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    CONFIG.write_text(yaml.safe_dump({**config, **settings}), encoding="utf-8")


def write_rows(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def hear_interrupts() -> None:
    """For a child process: SIGINT as in a terminal; tests in the background inherit it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def _sentence(rng: np.random.Generator, telling: list[str]) -> str:
    return " ".join(rng.permutation([*telling, *rng.choice(PLAIN, rng.integers(3, 12))]))


def _regression(rng: np.random.Generator) -> tuple[str, list[str]]:
    n_good, n_bad = rng.integers(0, 4, 2)
    words = [*rng.choice(GOOD, n_good), *rng.choice(BAD, n_bad)]
    return _sentence(rng, words), [f"{n_good - n_bad + rng.normal(0, 0.3):.2f}"]


def _binary(rng: np.random.Generator) -> tuple[str, list[str]]:
    yes = rng.random() < 0.4
    return _sentence(rng, list(rng.choice(GOOD if yes else BAD, 2))), ["yes" if yes else "no"]


def _multiclass(rng: np.random.Generator) -> tuple[str, list[str]]:
    name = str(rng.choice(sorted(CLASSES)))
    return _sentence(rng, list(rng.choice(CLASSES[name], 2))), [name]


def _multilabel(rng: np.random.Generator) -> tuple[str, list[str]]:
    funny, sad = rng.random(2) < 0.4
    words = [*rng.choice(GOOD, 2 * int(funny)), *rng.choice(BAD, 2 * int(sad))]
    text = _sentence(rng, words)
    return text, [str(int(label)) for label in (funny, sad, len(text.split()) > 9)]


MAKERS: dict[str, Callable[[np.random.Generator], tuple[str, list[str]]]] = {
    "regression": _regression,
    "binary": _binary,
    "multiclass": _multiclass,
    "multilabel": _multilabel,
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one; stages write below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def backbone_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random backbone of an architecture; read it, never write into it."""
    folders: dict[str, Path] = {}

    def folder_of(architecture: str) -> Path:
        # imported here: torch takes seconds to load, and most tests need none of it
        from tiny_backbones import save_backbone

        if architecture not in folders:
            folder = tmp_path_factory.mktemp("backbone") / architecture
            folders[architecture] = save_backbone(folder, architecture)
        return folders[architecture]

    return folder_of


@pytest.fixture
def tiny_backbone(backbone_of: Callable[[str], Path]) -> Path:
    return backbone_of("bert")


@pytest.fixture(scope="module")
def few_steps():
    """Every blender as it is, but several times faster."""
    # imported here: LightGBM takes a second to load
    from pipeline.ensemble import selection, stackers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "N_BAGS", 3)
        patch.setattr(stackers, "BOOSTING_ROUNDS", 20)
        yield


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The Trainers that `fit` makes."""
    from pipeline.members.bert import finetune  # here: torch takes seconds to load

    made: list[Any] = []

    class Kept(finetune.LengthGroupedTrainer):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(finetune, "LengthGroupedTrainer", Kept)
    return made


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a competition of a task with its report; only to be read."""
    folders: dict[str, Path] = {}

    def folder_of(task: str) -> Path:
        from report_cases import write_reported_case

        if task not in folders:
            folders[task] = write_reported_case(tmp_path_factory.mktemp(task), task)
        return folders[task]

    return folder_of


@pytest.fixture
def case(reported: Callable[[str], Path], workplace: Path) -> Path:
    """A copy of the regression with its report, in the current folder; its YAML."""
    shutil.copytree(reported("regression"), workplace, dirs_exist_ok=True)
    return CONFIG


@pytest.fixture
def copy(finished: Callable[[str], Path], workplace: Path) -> Path:
    """A copy of the regression that a module calls finished, as the current folder."""
    shutil.copytree(finished("regression"), workplace, dirs_exist_ok=True)
    return workplace


@pytest.fixture
def refusal(capsys):
    """Run a stage on `tiny`, which has to fail; the line that says why."""

    def line(name: str, *words: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit, match="^2$"):
            stage(name, *words)
        (said,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
        return said

    return line


@pytest.fixture
def run(request, capsys):
    """Run the stage that the test's module calls STAGE; what it printed."""

    def stage(config: Path, *words: str) -> str:
        import_module(f"pipeline.{request.module.STAGE}").main([str(config), *words])
        return capsys.readouterr().out

    return stage


@pytest.fixture
def refused(request, capsys):
    """Run the same stage, which has to fail and to print just what `before` matches; its line."""

    def stage(config: Path, *words: str, before: str = "") -> str:
        with pytest.raises(SystemExit, match="^2$"):
            import_module(f"pipeline.{request.module.STAGE}").main([str(config), *words])
        told = capsys.readouterr()
        assert re.fullmatch(before, told.out)
        (line,) = told.err.splitlines()
        return line

    return stage
