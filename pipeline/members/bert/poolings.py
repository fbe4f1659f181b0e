"""Poolings: how the `(layers, tokens)` of a backbone become one vector per text.

B texts, T tokens, H hidden, L layers of the backbone. Padding, on either side, changes neither the
output nor a gradient. A new pooling is a subclass of `Pooling` and a line in `POOLINGS`. Formulas,
and differences from the article that the project started from: docs/poolings.md.
"""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.files.suggestions import choices


class Pooling(nn.Module):
    """Base class: a subclass implements `pool`, its options are keyword-only constructor arguments.

    A text without real tokens becomes zeros.

    Attributes:
        normalised_for: tasks whose heads get its vectors through a LayerNorm, as measured in
            docs/LOG.md, "Scale of pooled vectors".
    """

    normalised_for: tuple[str, ...] = ("multiclass",)

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.output_dim = hidden_size

    def fit(self, token_ids: Iterable[Sequence[int] | np.ndarray]) -> None:
        """Learn from the ids of each text of the unit's training rows, before training."""

    def forward(
        self, hidden_states: Sequence[Tensor], attention_mask: Tensor, input_ids: Tensor
    ) -> Tensor:
        """One vector per text, (B, output_dim) float32.

        Args:
            hidden_states: L + 1 tensors (B, T, H) of any floating type, embeddings first.
            attention_mask: (B, T), 1 on real tokens, 0 on padding.
            input_ids: (B, T).
        """
        with torch.autocast(hidden_states[-1].device.type, enabled=False):
            return self.pool(hidden_states, attention_mask.bool(), input_ids)

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        """`forward` with autocast off and the mask as `real`, (B, T) bool."""
        raise NotImplementedError


class ClsPooling(Pooling):
    """First real token of the last layer (Devlin et al. 2019, arXiv:1810.04805).

    Position 0 would be padding if the tokenizer pads on the left.
    """

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return token_of(hidden_states[-1], real, real.int().argmax(1))  # argmax takes the first


class LastPooling(Pooling):
    """Last real token of the last layer (Neelakantan et al. 2022, arXiv:2201.10005).

    In a decoder it alone has seen all the others.
    """

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return token_of(hidden_states[-1], real, real.shape[1] - 1 - real.flip(1).int().argmax(1))


class MeanPooling(Pooling):
    """Average of the last layer's real tokens (Reimers & Gurevych 2019, arXiv:1908.10084)."""

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return mean_of_tokens(hidden_states[-1], real)


class WeightedMeanPooling(Pooling):
    """Average of the real tokens, the k-th with weight k (Muennighoff 2022, arXiv:2202.08904)."""

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return mean_of_tokens(hidden_states[-1], real.cumsum(1) * real)


class MaxPooling(Pooling):
    """Largest value per feature over the real tokens (Kim 2014, arXiv:1408.5882)."""

    normalised_for = ("binary", "multiclass")

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        largest = fill_padding(hidden_states[-1], real, -torch.inf).amax(1)  # (B, H)
        return largest.masked_fill(~real.any(1, keepdim=True), 0.0)


class MinPooling(Pooling):
    """Smallest value per feature over the real tokens (De Boom et al. 2016, arXiv:1607.00570)."""

    normalised_for = ("binary", "multiclass")

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        smallest = fill_padding(hidden_states[-1], real, torch.inf).amin(1)  # (B, H)
        return smallest.masked_fill(~real.any(1, keepdim=True), 0.0)


class WeightedLayerPooling(Pooling):
    """Learned average of upper layers, then of tokens (Peters et al. 2018, arXiv:1802.05365).

    The weights start equal and pass a softmax, so they stay positive and sum to 1.
    """

    def __init__(
        self, hidden_size: int, num_layers: int, *, layer_start: int | None = None
    ) -> None:
        """Average `hidden_states[layer_start:]`; None means the last four, or all if fewer."""
        super().__init__(hidden_size, num_layers)
        if layer_start is None:
            layer_start = num_layers + 1 - min(4, num_layers)
        if not isinstance(layer_start, int) or not 0 <= layer_start <= num_layers:
            raise ValueError(
                f"pooling 'weighted_layer': layer_start is a whole number in [0, {num_layers}], "
                f"0 the embeddings, got {layer_start!r}"
            )
        self.layer_start = layer_start
        self.layer_weights = nn.Parameter(torch.zeros(num_layers + 1 - layer_start))

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        # Both averages are linear: tokens first keeps (layers, B, H), not (layers, B, T, H)
        layers = [mean_of_tokens(layer, real) for layer in hidden_states[self.layer_start :]]
        return (self.layer_weights.softmax(0)[:, None, None] * torch.stack(layers)).sum(0)


class AttentionPooling(Pooling):
    """Average of the real tokens by a learned score of each (Lin et al. 2017, arXiv:1703.03130)."""

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__(hidden_size, num_layers)
        self.score = nn.Sequential(
            nn.Linear(hidden_size, hidden_size),
            nn.LayerNorm(hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, 1, bias=False),  # softmax would cancel a bias
        )

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        # padding is zeroed first: LayerNorm squares 1e30 to infinity, with NaN gradients
        tokens = fill_padding(hidden_states[-1], real, 0.0)  # (B, T, H)
        scores = self.score(tokens).squeeze(-1)  # (B, T)
        # a text without real tokens keeps its scores: the softmax of -inf alone is NaN
        scores = scores.masked_fill(~real & real.any(1, keepdim=True), -torch.inf)
        return (scores.softmax(1).unsqueeze(-1) * tokens).sum(1)


class IdfPooling(Pooling):
    """Average of the real tokens, weighted by rarity (De Boom et al. 2016, arXiv:1607.00570).

    A token in df of n training texts has the weight `log((1 + n) / (1 + df)) + 1`, a special token
    0; before `fit` all others have 1. A text of special tokens only is averaged evenly.
    """

    idf: Tensor  # (vocab_size,) float32, saved with the model

    def __init__(
        self, hidden_size: int, num_layers: int, *, vocab_size: int, special_ids: Iterable[int]
    ) -> None:
        """Start with weight 1, and 0 for special tokens.

        Args:
            vocab_size: rows of the backbone's embedding; a tokenizer's `vocab_size` can be less.
            special_ids: ids of [CLS], [SEP], padding and similar tokens.
        """
        super().__init__(hidden_size, num_layers)
        self.special_ids = known_ids(list(special_ids), vocab_size)
        self.register_buffer("idf", torch.ones(vocab_size, dtype=torch.float32))
        self.idf[self.special_ids] = 0.0

    def fit(self, token_ids: Iterable[Sequence[int] | np.ndarray]) -> None:
        """Set the weights from the training texts, each of which counts once for a token."""
        texts = [known_ids(ids, len(self.idf)) for ids in token_ids]
        document_frequency = np.zeros(len(self.idf))
        for ids in texts:
            document_frequency[ids] += 1  # a repeated id counts once: not np.add.at
        self.idf.copy_(torch.from_numpy(np.log((1 + len(texts)) / (1 + document_frequency)) + 1))
        self.idf[self.special_ids] = 0.0

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        weights = self.idf[input_ids.masked_fill(~real, 0)].masked_fill(~real, 0.0)  # (B, T)
        only_special = ~weights.any(1, keepdim=True)  # (B, 1)
        return mean_of_tokens(hidden_states[-1], torch.where(only_special, real, weights))


def token_of(tokens: Tensor, real: Tensor, position: Tensor) -> Tensor:
    """The token (B, H) at a position (B,) of each text; zeros for a text without real tokens."""
    vectors = tokens[torch.arange(len(position), device=position.device), position].float()
    return vectors.masked_fill(~real.any(1, keepdim=True), 0.0)


def fill_padding(tokens: Tensor, real: Tensor, value: float) -> Tensor:
    """`tokens` (B, T, H) as float32, with `value` where `real` (B, T) is False."""
    return tokens.float().masked_fill(~real.unsqueeze(-1), value)


def mean_of_tokens(tokens: Tensor, weights: Tensor) -> Tensor:
    """Weighted average (B, H) of `tokens` (B, T, H) by `weights` (B, T); zeros if they are all 0.

    The weights are 0 or at least 1, as those of a mask and of IDF.
    """
    total = fill_padding(tokens, weights > 0, 0.0) * weights.unsqueeze(-1)  # (B, T, H)
    return total.sum(1) / weights.sum(1, keepdim=True).clamp(min=1)


def known_ids(ids: Sequence[int] | np.ndarray, vocab_size: int) -> np.ndarray:
    """`ids` as an array; a ValueError for an id outside the vocabulary."""
    array = np.asarray(ids, dtype=np.int64)
    wrong = array[(array < 0) | (array >= vocab_size)]
    if len(wrong):
        raise ValueError(
            f"pooling 'idf': token id {wrong[0]} is outside the vocabulary [0, {vocab_size}); "
            "vocab_size is the number of rows of the backbone's embedding"
        )
    return array


def pooling_options(name: str) -> tuple[str, ...]:
    """Names of the options that a pooling takes; a ValueError if there is no such pooling."""
    if name not in POOLINGS:
        raise ValueError(f"unknown pooling {name!r}; {choices(name, sorted(POOLINGS))}")
    arguments = inspect.signature(POOLINGS[name]).parameters.values()
    return tuple(argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY)


def check_options(name: str, options: Iterable[str]) -> None:
    """Raise a ValueError for an unknown pooling, or an option that it does not take."""
    allowed = pooling_options(name)
    for option in options:
        if option not in allowed:
            choices = ", ".join(allowed) or "none"
            raise ValueError(f"pooling {name!r} has no option {option!r}; its options: {choices}")


def build_pooling(name: str, hidden_size: int, num_layers: int, **options: Any) -> Pooling:
    """The pooling called `name`; a ValueError for an unknown name, or an option that is wrong."""
    check_options(name, options)
    return POOLINGS[name](hidden_size, num_layers, **options)


POOLINGS: dict[str, type[Pooling]] = {
    "cls": ClsPooling,
    "last": LastPooling,
    "mean": MeanPooling,
    "weighted_mean": WeightedMeanPooling,
    "max": MaxPooling,
    "min": MinPooling,
    "weighted_layer": WeightedLayerPooling,
    "attention": AttentionPooling,
    "idf": IdfPooling,
}
