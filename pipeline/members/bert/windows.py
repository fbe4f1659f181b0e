"""Long texts, whose windows the backbone reads one by one and a pooling all at once.

Letters: B texts, T tokens of all windows of a text, H hidden, L layers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

Inputs = Mapping[str, Tensor]  # (B, T) by argument name of the backbone
Read = Callable[[Inputs], Sequence[Tensor]]  # the L + 1 hidden states (B, T, H) of inputs


class Windows(NamedTuple):
    """How a text's tokens are divided among windows.

    Attributes:
        width: tokens of a window; only the last of a text may have fewer.
        at_once: windows that pass the backbone together.
    """

    width: int
    at_once: int


def read_in_windows(read: Read, inputs: Inputs, windows: Windows) -> Sequence[Tensor]:
    """The L + 1 hidden states (B, T, H) of texts whose windows are read independently.

    If more than `at_once` windows are trained on, backpropagation reads them again, so that
    activations inside the backbone are those of `at_once` windows only.
    """
    n_texts, n_tokens = inputs["attention_mask"].shape
    if n_tokens <= windows.width:
        return read(inputs)
    n_windows = -(-n_tokens // windows.width)
    missing = n_windows * windows.width - n_tokens
    divided = {
        name: pad(tensor, (0, missing)).reshape(n_texts * n_windows, windows.width)
        for name, tensor in inputs.items()
    }
    # windows of padding alone, of shorter texts, are not read
    rows = divided["attention_mask"].any(1).nonzero().squeeze(1)
    read_again = torch.is_grad_enabled() and len(rows) > windows.at_once
    parts = []
    for some in rows.split(windows.at_once):
        part = {name: tensor[some] for name, tensor in divided.items()}
        states = checkpoint(read, part, use_reentrant=False) if read_again else read(part)
        parts.append(list(states))
    layers = []
    while parts[0]:
        of_windows = torch.cat([states.pop(0) for states in parts])  # frees them one by one
        shape = (n_texts * n_windows, windows.width, of_windows.shape[-1])
        side_by_side = of_windows.new_zeros(shape).index_copy(0, rows, of_windows)
        layers.append(side_by_side.reshape(n_texts, -1, shape[-1])[:, :n_tokens])
    return layers
