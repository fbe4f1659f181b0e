"""Poolings by the name and the options that a member gives. Letters: as in poolings.py."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.files.suggestions import choices
from pipeline.members.bert.poolings import POOLINGS, Pooling, check_whole, own_options

JOINT = "+"  # mean+max is the vectors of both


class Concatenated(Pooling):
    """The vectors of several poolings, side by side; normalised where one of them is."""

    def __init__(self, poolings: Sequence[Pooling]) -> None:
        super().__init__(sum(pooling.output_dim for pooling in poolings), 0)
        self.poolings = nn.ModuleList(poolings)
        tasks = {task for pooling in poolings for task in pooling.normalised_for}
        self.normalised_for = tuple(sorted(tasks))

    def fit(self, token_ids: Iterable[NDArray[np.int32]]) -> None:
        texts = list(token_ids)
        for pooling in self.poolings:
            pooling.fit(texts)  # type: ignore[operator]

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return torch.cat([pool(hidden_states, real, input_ids) for pool in self.poolings], 1)


def build_pooling(name: str, hidden_size: int, num_layers: int, **options: Any) -> Pooling:
    """The pooling called `name`, or several side by side, as `known_poolings` reads them.

    Besides its own options each takes two more: `layer`, as if the backbone ended there, 0 the
    embeddings, and `segment`, a `Segment`.
    """
    poolings = []
    for part, own in known_poolings(name, options):
        own = dict(own)
        layer, segment = own.pop("layer", None), own.pop("segment", None)
        layer = num_layers if layer is None else layer
        check_whole(part, "layer", layer, 0, num_layers)
        pooling = POOLINGS[part](hidden_size, layer, **own)
        pooling.n_states, pooling.segment = layer + 1, segment
        poolings.append(pooling)
    return poolings[0] if len(poolings) == 1 else Concatenated(poolings)


def known_poolings(pooling: str, options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The poolings that a name stands for, each with its options.

    `mean+max` is two, whose options are given by name: `{mean: {segment: 2}}`.

    Raises:
        ValueError: there is no such pooling, or an option that it does not take.
    """
    names = pooling.split(JOINT)
    parts = [(pooling, dict(options))]
    if len(names) > 1:
        for name, own in options.items():
            if name not in names or not isinstance(own, dict):
                raise ValueError(
                    f"pooling {pooling!r}: options {name!r} {own!r}; give them by pooling, such as "
                    f"{{{names[0]}: {{segment: 1}}}}"
                )
        parts = [(name, options.get(name, {})) for name in names]
    for name, own in parts:
        if names.count(name) > 1:
            raise ValueError(f"pooling {pooling!r} has {name!r} twice; leave one of them out")
        allowed = pooling_options(name)
        for option in own:
            if option not in allowed:
                raise ValueError(
                    f"pooling {name!r} has no option {option!r}; its options: {', '.join(allowed)}"
                )
    return parts


def pooling_options(name: str) -> tuple[str, ...]:
    """Names of the options that a pooling takes; a ValueError if there is no such pooling."""
    if name not in POOLINGS:
        raise ValueError(f"unknown pooling {name!r}; {choices(name, sorted(POOLINGS))}")
    return (*(option.name for option in own_options(POOLINGS[name])), "layer", "segment")
