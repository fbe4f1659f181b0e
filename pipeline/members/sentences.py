"""How an embedding model makes a text's vector, as its own files say.

bge, gte, e5 and others come with the files of sentence-transformers (Reimers & Gurevych 2019,
arXiv:1908.10084), and their vectors are good only if they are made that way.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.files.reading import decoding, read_json

# names of poolings in sentence-transformers' files, new and old, and ours
POOLINGS = {"cls": "cls", "max": "max", "mean": "mean", "weightedmean": "weighted_mean"}
POOLINGS |= {"lasttoken": "last", "mean_sqrt_len_tokens": "mean_sqrt_len"}
OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
AGAIN = "download the model again"
READ = ("Transformer", "Pooling", "Normalize")  # the modules that are understood


class Recipe(NamedTuple):
    """The steps from a text to its vector.

    Attributes:
        prompt: put before every text.
        pooling: as of a member; mean+max is the vectors of both, side by side.
        is_scaled: whether vectors are scaled to length 1.
        is_lower: whether prompt and text are put in lower case.
    """

    prompt: str = ""
    pooling: str = "mean"
    is_scaled: bool = False
    is_lower: bool = False


def recipe_of(backbone: Path) -> Recipe:
    """The recipe in a backbone's folder; without modules.json the mean of the tokens.

    Raises:
        ValueError: a file is damaged, or asks for what is not done here, such as a module Dense.
    """
    path = backbone / "modules.json"
    if not path.is_file():
        return Recipe()
    with decoding(path, AGAIN):
        modules = json.loads(path.read_text("utf-8"))
        folders = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    odd = [kind for kind in folders if kind not in READ]
    if odd:
        raise ValueError(
            f"backbone {backbone}: modules.json has a module {odd[0]!r}, of which embeddings are "
            f"not made here; choose a model of {', '.join(READ)} alone"
        )
    path = backbone / "config_sentence_transformers.json"
    config = read_json(path, AGAIN) if path.is_file() else {}
    # the prompt that the model's files apply by default, which few do
    prompt = str((config.get("prompts") or {}).get(config.get("default_prompt_name"), ""))
    pooling = "mean"
    if "Pooling" in folders:
        path = backbone / folders["Pooling"] / "config.json"
        config = read_json(path, AGAIN)
        pooling = _pooling_of(config, path)
        if prompt and config.get("include_prompt") is False:
            raise ValueError(
                f"{path}: include_prompt: false leaves the prompt out of the pooling, which is not "
                "done here; choose another model"
            )
    path = backbone / "sentence_bert_config.json"
    is_lower = path.is_file() and read_json(path, AGAIN).get("do_lower_case") is True
    return Recipe(prompt, pooling, "Normalize" in folders, is_lower)


def _pooling_of(config: Mapping[str, Any], path: Path) -> str:
    modes = config.get("pooling_mode", [mode for key, mode in OLD_KEYS.items() if config.get(key)])
    modes = [modes] if isinstance(modes, str) else modes or ["mean"]
    odd = [mode for mode in modes if mode not in POOLINGS]
    if odd:
        raise ValueError(
            f"{path}: pooling {odd[0]!r} is not made here; choose a model of one of: "
            f"{', '.join(POOLINGS)}"
        )
    return "+".join(POOLINGS[mode] for mode in modes)
