"""Training on a GPU: precisions, agreement with the CPU, units that share it, memory.

Every command runs in its own process, as the process of pytest sees no GPU.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import read_rows, write_competition

ROOT = Path(__file__).parents[1]
CONFIG = "configs/tiny.yaml"
ON_CPU = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


@pytest.fixture(scope="session")
def on_gpu():
    """The environment of a process that sees the GPUs."""
    environment = {name: value for name, value in ON_CPU.items() if name != "CUDA_VISIBLE_DEVICES"}
    if os.environ["GPUS_OF_THE_MACHINE"] != "all":
        environment["CUDA_VISIBLE_DEVICES"] = os.environ["GPUS_OF_THE_MACHINE"]
    has_driver = shutil.which("nvidia-smi") or shutil.which("rocm-smi")
    if (
        not has_driver
        or python(environment, "import torch; print(torch.cuda.device_count())") == "0"
    ):
        pytest.skip("no GPU")
    return environment


def python(environment, code, *words):
    """What the code prints."""
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def stage(name, environment, *words):
    command = [sys.executable, "-m", f"pipeline.{name}", CONFIG, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def oof():
    _, rows = read_rows(Path("oof/tiny/mean/oof.csv"))
    return np.array([float(cell) for _, cell in rows])


def told() -> dict[str, Any]:
    return json.loads(Path("models/tiny/mean/fold0/run.json").read_text())


@pytest.fixture
def dealt(workplace, tiny_backbone):
    """A competition whose folds are dealt is the current folder."""
    training = {
        "epochs": 10,
        "batch_size": 8,
        "max_length": 32,
        "learning_rate": 1e-2,
        "head_learning_rate": 1e-2,
    }
    settings = {"backbone": str(tiny_backbone), "members": [{"pooling": "mean"}]}
    write_competition(workplace, "regression", settings={**settings, "training": training})
    for name in ("prepare", "make_folds"):
        stage(name, ON_CPU)


@pytest.mark.parametrize(
    ("precision", "agreement"),
    [("fp32", 0.999), ("bf16", 0.95), ("fp16", 0.8)],  # fp16 may leave out a step or two of 50
)
def test_a_member_trained_on_a_gpu_is_that_of_a_cpu_but_for_rounding(
    precision, agreement, on_gpu, dealt
):
    setting = ("--training.precision", precision)
    stage("train", on_gpu, *setting)
    assert (told()["device"], told()["precision"]) == ("cuda", precision)
    found = oof()
    stage("predict", ON_CPU, *setting)  # which refuses a unit that does not predict what it did
    stage("train", ON_CPU, "--training.precision", "fp32", "--overwrite")
    assert told()["device"] == "cpu"
    assert np.corrcoef(found, oof())[0, 1] > agreement


def test_a_gpu_trains_in_the_half_precision_that_it_has(on_gpu, dealt):
    stage("train", on_gpu)
    asked = "import torch; print(torch.cuda.is_bf16_supported(including_emulation=False))"
    has_bf16 = python(on_gpu, asked) == "True"
    assert told()["precision"] in (["bf16"] if has_bf16 else ["fp16", "fp32"])


def test_units_that_share_a_gpu_write_what_they_write_one_by_one(on_gpu, dealt):
    setting = ("--training.precision", "fp32")
    stage("train", on_gpu, *setting, "--jobs.n_jobs", "3")
    together = oof()
    stage("train", on_gpu, *setting, "--jobs.n_jobs", "1", "--overwrite")
    assert np.corrcoef(together, oof())[0, 1] > 0.999


MEMORY = """
import sys
import torch
from pipeline import train

taken = []
for seed in "012":
    train.main([sys.argv[1], "--jobs.n_jobs", "1", "--seed", seed, "--overwrite"])
    taken.append(torch.cuda.memory_allocated())
print(taken)
"""


def test_the_memory_of_a_unit_is_free_after_it(on_gpu, dealt):
    taken = json.loads(python(on_gpu, MEMORY, CONFIG).splitlines()[-1])
    assert taken[1] == taken[2]  # the first run also leaves what the libraries keep for themselves


OVERFLOW = """
import sys
from pathlib import Path
import numpy as np
import torch
from pipeline.members.bert.finetune import fit
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import build_network
from pipeline.members.bert.tokens import TrainingRows, tokenize
from pipeline.settings.fine_tuning import Training
from transformers import AutoTokenizer

settings = {"dropout": 0.0, "freeze_embeddings": True}
network = build_network(Path(sys.argv[1]), "mean", {}, 1, LOSSES["mse"], **settings)
tokens = tokenize(AutoTokenizer.from_pretrained(sys.argv[1]), [("the film goes on",)] * 40, 16)
labels = torch.full((40, 1), float(sys.argv[2]))
rates = {"learning_rate": 1e-3, "head_learning_rate": 1e-3, "warmup": 0.0}
training = Training(epochs=2, batch_size=4, precision="fp16", **rates)
try:
    dataset = TrainingRows(tokens, np.arange(40), labels)
    fit(network, dataset, training, seed=0, log=Path("train.log"))
    print("learnt")
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(("target", "answer"), [("1", "learnt"), ("1e15", "did not fit into fp16")])
def test_fp16_whose_gradients_overflow_is_refused(target, answer, on_gpu, tiny_backbone, workplace):
    assert answer in python(on_gpu, OVERFLOW, str(tiny_backbone), target)
