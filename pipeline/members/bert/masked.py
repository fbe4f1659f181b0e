"""Texts' tokens reduced to vectors, padding left out. Letters: B texts, T tokens, H hidden.

`real` (B, T) is False on padding, whose values may be anything, NaN too: they are replaced before
any arithmetic, as they would reach the gradients otherwise.
"""

import torch
from torch import Tensor


def token_of(tokens: Tensor, real: Tensor, position: Tensor) -> Tensor:
    """The token (B, H) at a position (B,) of each text; zeros for a text without real tokens."""
    vectors = tokens[torch.arange(len(position), device=position.device), position].float()
    return vectors.masked_fill(~real.any(1, keepdim=True), 0.0)


def largest(tokens: Tensor, real: Tensor) -> Tensor:
    """Largest value (B, H) of each feature over the real tokens; zeros for a text without any."""
    values = fill_padding(tokens, real, -torch.inf).amax(1)  # (B, H)
    return values.masked_fill(~real.any(1, keepdim=True), 0.0)


def fill_padding(tokens: Tensor, real: Tensor, value: float) -> Tensor:
    """`tokens` (B, T, H) as float32, with `value` where `real` (B, T) is False."""
    return tokens.float().masked_fill(~real.unsqueeze(-1), value)


def mean_of_tokens(tokens: Tensor, weights: Tensor) -> Tensor:
    """Weighted average (B, H) of `tokens` (B, T, H) by `weights` (B, T); zeros if they are all 0.

    The weights are 0 or at least 1, as those of a mask and of IDF.
    """
    total = fill_padding(tokens, weights > 0, 0.0) * weights.unsqueeze(-1)  # (B, T, H)
    return total.sum(1) / weights.sum(1, keepdim=True).clamp(min=1)
