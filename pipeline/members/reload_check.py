"""The reload check: a unit read back from disk must reproduce its own held-out predictions.

`reload_check.json` keeps some texts of the unit's fold and what was predicted for them when it was
trained. Letters: n rows, c prediction columns.
"""

from pathlib import Path

import numpy as np

from pipeline.files.reading import read_json
from pipeline.files.writing import write_json
from pipeline.members.units import Texts, Unit, read_run, scaling_of
from pipeline.scoring.tasks import Floats

RELOAD_CHECK = "reload_check.json"
N_TEXTS = 32
SAME_DEVICE, OTHER_DEVICE = 1e-3, 2e-2  # allowed, in sds of the target or in probability


def write_reload_check(folder: Path, texts: Texts, predictions: Floats) -> None:
    """Keep texts from all over the fold and their predictions.

    Args:
        texts: (n,) of the held-out rows.
        predictions: (n, c) of them.
    """
    shown = np.unique(np.linspace(0, len(texts) - 1, N_TEXTS).astype(int))
    content = {"texts": [texts[i] for i in shown], "predictions": predictions[shown].tolist()}
    write_json(folder / RELOAD_CHECK, content)


def texts_to_predict_again(unit: Unit) -> list[tuple[str, ...]]:
    """The texts that were kept."""
    return [tuple(text) for text in read_json(unit.folder / RELOAD_CHECK)["texts"]]


def check_reloaded(unit: Unit, predictions: Floats, device: str) -> None:
    """Hold predictions of the reloaded unit against those that it made when it was trained.

    Args:
        predictions: of the texts that were kept.
        device: what made them, "cpu" or "cuda".
    Raises:
        ValueError: they differ by more than rounding.
    """
    written = np.array(read_json(unit.folder / RELOAD_CHECK)["predictions"])
    scaling = scaling_of(unit)
    step = 1.0 if scaling is None else np.array(scaling.sd)  # (c,) what a difference is counted in
    difference = float((np.abs(predictions - written) / step).max())
    allowed = SAME_DEVICE if read_run(unit)["device"] == device else OTHER_DEVICE
    if not difference <= allowed:
        raise ValueError(
            f"{unit.folder}: reloaded, it predicts its own held-out rows {difference:.2g} away "
            f"from what it wrote, {allowed:g} is allowed; remove the folder and train it again"
        )
