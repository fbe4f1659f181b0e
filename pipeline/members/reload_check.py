"""The reload check: a unit read back from disk must reproduce its own held-out predictions.

`reload_check.json` holds some held-out texts and their predictions right after training. Letters: n
rows, c prediction columns.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.competition.features import Columns, rows_of
from pipeline.files.reading import read_json
from pipeline.files.writing import write_json
from pipeline.members.units import Texts, Unit, read_run, scaling_of
from pipeline.scoring.tasks import Floats

RELOAD_CHECK = "reload_check.json"
N_TEXTS = 32
SAME_DEVICE, OTHER_DEVICE = 1e-3, 2e-2  # allowed, in sds of the target or in probability


def write_reload_check(folder: Path, texts: Texts, features: Columns, predictions: Floats) -> None:
    """Write texts and features from all over the fold, (n,) rows, and their (n, c) predictions."""
    sample = np.unique(np.linspace(0, len(texts) - 1, N_TEXTS).astype(int))
    content = {
        "texts": [texts[i] for i in sample],
        "features": rows_of(features, sample),
        "predictions": predictions[sample].tolist(),
    }
    write_json(folder / RELOAD_CHECK, content)


def check_reloaded(unit: Unit, predict: Callable[[Texts, Columns], Floats], device: str) -> None:
    """Compare a reloaded unit's predictions with those in `reload_check.json`.

    Args:
        predict: (n, c) predictions of the reloaded unit for texts and features.
        device: where it predicts, "cpu" or "cuda".
    Raises:
        ValueError: the predictions differ by more than rounding.
    """
    written = read_json(unit.folder / RELOAD_CHECK, unit.remedy)
    texts = [tuple(text) for text in written["texts"]]
    predictions = predict(texts, written["features"])
    scaling = scaling_of(unit)
    before = np.array(written["predictions"])
    if scaling is not None:
        predictions, before = scaling.standardise(predictions), scaling.standardise(before)
    difference = float(np.abs(predictions - before).max())
    allowed = SAME_DEVICE if read_run(unit)["device"] == device else OTHER_DEVICE
    if not difference <= allowed:
        raise ValueError(
            f"{unit.folder}: after reloading, predictions of its held-out rows differ by "
            f"{difference:.2g} from those it wrote, {allowed:g} is allowed; {unit.remedy}"
        )
