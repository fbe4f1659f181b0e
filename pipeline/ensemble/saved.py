"""A fitted blend or post-processing as a file of plain data: nothing is pickled.

The file is in the safetensors format: the arrays of the state are its tensors, and its header has
the rest as JSON, with LightGBM's trees as text.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.ensemble.fitted import Fitted, State
from pipeline.files.messages import short

HEADER, ARRAY = "state", "array"  # key of the JSON, and of an array's name in it


def save_fitted(path: Path, fitted: Fitted) -> None:
    """Save the state of a blend or a post-processing."""
    arrays: dict[str, np.ndarray] = {}

    def stored(value: np.ndarray | np.generic) -> Any:
        """What JSON lacks: a NumPy number, or an array by its name."""
        if isinstance(value, np.generic):
            return value.item()
        name = f"{ARRAY}{len(arrays)}"
        arrays[name] = np.ascontiguousarray(value)
        return {ARRAY: name}

    header = json.dumps(fitted.state, default=stored, ensure_ascii=False)
    save_file(arrays, path, {HEADER: header})


def load_fitted(path: Path) -> Fitted:
    """The blend or post-processing that `save_fitted` saved; it applies as it did before.

    Raises:
        ValueError: the file is damaged, or was written by another version.
    """
    # imported here: LightGBM takes a second to load, in vain where blends are only saved
    from pipeline.ensemble.blenders import BLENDERS
    from pipeline.ensemble.postprocessing import POSTPROCESSING

    def with_array(value: State) -> Any:
        return file.get_tensor(value[ARRAY]) if value.keys() == {ARRAY} else value

    try:
        with safe_open(path, framework="numpy") as file:
            state: State = json.loads(file.metadata()[HEADER], object_hook=with_array)
        method = BLENDERS.get(state["name"]) or POSTPROCESSING[state["name"]]
        return Fitted.from_state(state, method.model)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a blend of this version ({short(str(error))}); run blend again"
        ) from None
