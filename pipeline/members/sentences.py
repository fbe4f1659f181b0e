"""How an embedding model makes a text's vector, as its own files say.

bge, gte, e5 and others come with the files of sentence-transformers (Reimers & Gurevych 2019,
arXiv:1908.10084), and their vectors are good only if they are made that way.
"""

import json
from pathlib import Path
from typing import NamedTuple

from pipeline.files.reading import read_json

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
READ = ("Transformer", "Pooling", "Normalize")  # the modules that are understood


class Recipe(NamedTuple):
    """The steps from a text to its vector.

    Attributes:
        prompt: put before every text.
        poolings: names in the registry of poolings; their vectors are put side by side.
        is_scaled: whether vectors are scaled to length 1.
    """

    prompt: str = ""
    poolings: tuple[str, ...] = ("mean",)
    is_scaled: bool = False


def recipe_of(backbone: Path) -> Recipe:
    """The recipe in a backbone's folder; without modules.json the mean of the tokens.

    Raises:
        ValueError: the model has a module that is not understood, such as Dense.
    """
    path = backbone / "modules.json"
    if not path.is_file():
        return Recipe()
    modules = json.loads(path.read_text(encoding="utf-8"))
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    odd = [kind for kind in kinds if kind not in READ]
    if odd:
        raise ValueError(
            f"backbone {backbone}: modules.json has a module {odd[0]!r}, of which embeddings are "
            f"not made here; choose a model of {', '.join(READ)} alone"
        )
    folders = [m["path"] for m, kind in zip(modules, kinds, strict=True) if kind == "Pooling"]
    poolings = _poolings_of(backbone / folders[0] / "config.json") if folders else ["mean"]
    return Recipe(_prompt_of(backbone), tuple(poolings), "Normalize" in kinds)


def _poolings_of(path: Path) -> list[str]:
    config = read_json(path)
    modes = config.get("pooling_mode", [mode for key, mode in OLD_KEYS.items() if config.get(key)])
    modes = [modes] if isinstance(modes, str) else modes or ["mean"]
    odd = [mode for mode in modes if mode not in POOLINGS]
    if odd:
        raise ValueError(
            f"{path}: pooling {odd[0]!r} is not made here; choose a model of one of: "
            f"{', '.join(POOLINGS)}"
        )
    return [POOLINGS[mode] for mode in modes]


def _prompt_of(backbone: Path) -> str:
    """The prompt that the model's files apply by default, which few do."""
    path = backbone / "config_sentence_transformers.json"
    config = read_json(path) if path.is_file() else {}
    return str((config.get("prompts") or {}).get(config.get("default_prompt_name"), ""))
