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

    def without_arrays(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_arrays(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [without_arrays(inner) for inner in value]
        if isinstance(value, np.ndarray):
            arrays[f"{ARRAY}{len(arrays)}"] = np.ascontiguousarray(value)
            return {ARRAY: f"{ARRAY}{len(arrays) - 1}"}
        return value.item() if isinstance(value, np.generic) else value

    header = json.dumps(without_arrays(fitted.state), ensure_ascii=False)
    save_file(arrays, path, {HEADER: header})


def load_fitted(path: Path) -> Fitted:
    """The blend or post-processing that `save_fitted` saved; it applies as it did before.

    Raises:
        ValueError: the file is damaged, or was written by another version.
    """
    # imported here: LightGBM takes a second to load, in vain where blends are only saved
    from pipeline.ensemble.blenders import BLENDERS
    from pipeline.ensemble.postprocessing import POSTPROCESSING

    def with_arrays(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {ARRAY}:
            return file.get_tensor(value[ARRAY])
        if isinstance(value, dict):
            return {key: with_arrays(inner) for key, inner in value.items()}
        return [with_arrays(inner) for inner in value] if isinstance(value, list) else value

    try:
        with safe_open(path, framework="numpy") as file:
            state: State = with_arrays(json.loads(file.metadata()[HEADER]))
        method = BLENDERS.get(state["name"]) or POSTPROCESSING[state["name"]]
        return Fitted.from_state(state, method.model)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a blend of this version ({short(str(error))}); run blend again"
        ) from None
