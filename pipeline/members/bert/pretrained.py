"""Read a backbone's config, tokenizer and model; code in its folder is never run."""

from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
from transformers.utils import logging


def read_config(folder: Path) -> Any:
    """The backbone's configuration; a ValueError if only code in the folder could read it."""
    return _read(AutoConfig.from_pretrained, folder)


def read_tokenizer(folder: Path) -> Any:
    """The backbone's tokenizer; a ValueError if a file or package of it is missing."""
    try:
        return _read(AutoTokenizer.from_pretrained, folder)
    except (TypeError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"backbone {folder}: its tokenizer cannot be loaded: {reason}") from None


def read_model(folder: Path, config: Any) -> Any:
    """The pretrained encoder, always in float32.

    Raises:
        ValueError: weights are missing, or have other shapes than the configuration says.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # of T5 the encoder alone
        kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
        how = {"config": config, "dtype": torch.float32, "output_loading_info": True}
        model, report = _read(kind.from_pretrained, folder, **how)
    except UnpicklingError:  # the message of torch advises to run the code
        raise ValueError(
            f"backbone {folder}: its pickled weights are damaged or hold code, which is never run; "
            "choose one with model.safetensors"
        ) from None
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):  # an option that the user does not have
            raise
        raise ValueError(
            f"backbone {folder}: its weights have other shapes than its config.json says; "
            "download both again"
        ) from None
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ValueError(
            f"backbone {folder}: {len(missing)} weights are missing, first {missing[0]!r}; "
            f"the checkpoint is not one of a {config.model_type}"
        )
    return model


def _read(from_pretrained: Callable[..., Any], folder: Path, **options: Any) -> Any:
    try:
        # None would ask on the terminal in the middle of a run
        return from_pretrained(folder, trust_remote_code=False, **options)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise ValueError(
            f"backbone {folder}: it has code of its own (auto_map in its files), which is never "
            "run; choose a backbone of an architecture that transformers knows"
        ) from None
