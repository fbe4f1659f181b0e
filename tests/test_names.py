"""The names that a config is checked against are those of the registries, and load no library."""

import subprocess
import sys
from pathlib import Path

from pipeline.scoring.metrics import METRICS
from pipeline.scoring.names import TASKS_OF_METRIC

STAGES = ("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
ROOT = Path(__file__).parents[1]
COMPUTING = {"numpy", "pandas", "scipy", "sklearn", "lightgbm", "torch", "transformers"}
SLOW = {"sklearn", "lightgbm", "torch", "transformers", "matplotlib"}
SLOW |= {"scipy.stats", "scipy.optimize", "scipy.sparse.csgraph"}


def loaded_by(code: str) -> set[str]:
    """Names of the modules that a new Python holds after running `code`."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_names_of_the_metrics_are_those_of_the_registry():
    assert list(METRICS) == list(TASKS_OF_METRIC)


def test_the_settings_load_nothing_that_computes():
    assert COMPUTING & loaded_by("import pipeline.settings.command") == set()


def test_the_help_of_the_stages_loads_nothing_slow():
    code = f"""
from importlib import import_module
for stage in {STAGES}:
    try: import_module("pipeline." + stage).main(["--help"])
    except SystemExit: print(stage)"""
    assert SLOW & loaded_by(code) == set()
