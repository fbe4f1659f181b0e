"""Poolings: how the `(layers, tokens)` of a backbone become one vector per text.

B texts, T tokens, H hidden, L layers of the backbone. Padding, on either side, changes neither the
output nor a gradient. A new pooling is a subclass of `Pooling` and a line in `POOLINGS`. Formulas,
sources, and differences from the article that the project started from: docs/poolings.md.
"""

import inspect
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.files.suggestions import choices
from pipeline.members.bert.masked import fill_padding, largest, mean_of_tokens, token_of
from pipeline.members.bert.segments import Segment


class Pooling(nn.Module):
    """Base class: a subclass implements `pool`, its options are keyword-only constructor arguments.

    A text without real tokens becomes zeros.

    Attributes:
        normalised_for: tasks whose heads get its vectors through a LayerNorm, as measured in
            docs/LOG.md, "Scale of pooled vectors".
        reads_one_layer: whether it sees the last of the hidden states only.
        segment: the part of each text that it sees; None for all of it.
        n_states: number of hidden states that it sees; None for all.
    """

    normalised_for: tuple[str, ...] = ("multiclass",)
    reads_one_layer = True
    segment: Segment | None = None
    n_states: int | None = None

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.output_dim = hidden_size

    def fit(self, token_ids: Iterable[NDArray[np.int32]]) -> None:
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
        real = attention_mask.bool()
        if self.segment is not None:
            real = self.segment.within(real, input_ids)
        with torch.autocast(hidden_states[-1].device.type, enabled=False):
            return self.pool(hidden_states[: self.n_states], real, input_ids)

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


class MeanSqrtLenPooling(Pooling):
    """Sum of the real tokens / the root of their number (Cer et al. 2018, arXiv:1803.11175).

    A LayerNorm takes the length out again: where one follows, this is `mean`.
    """

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return mean_of_tokens(hidden_states[-1], real) * real.sum(1, keepdim=True).sqrt()


class MaxPooling(Pooling):
    """Largest value per feature over the real tokens (Kim 2014, arXiv:1408.5882)."""

    normalised_for = ("binary", "multiclass")

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return largest(hidden_states[-1], real)


class MinPooling(MaxPooling):
    """Smallest value per feature over the real tokens (De Boom et al. 2016, arXiv:1607.00570)."""

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        return -largest(-hidden_states[-1], real)


class GemPooling(Pooling):
    """Mean of powers p, p learned, then the root (Radenović et al. 2018, arXiv:1711.02512).

    Powers need values of one sign, so a feature is measured from its smallest value in the text,
    which is added again: p = 1 gives the mean, a large p the maximum. p starts at 3 and stays
    above 1.
    """

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__(hidden_size, num_layers)
        self.raw_power = nn.Parameter(torch.tensor(2.0).expm1().log())  # p - 1 is its softplus

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        tokens = fill_padding(hidden_states[-1], real, 0.0)  # (B, T, H)
        low = -largest(-tokens, real)  # (B, H)
        above = fill_padding(tokens - low.unsqueeze(1), real, 0.0)  # (B, T, H), at least 0
        # in units of the largest, powers neither overflow nor vanish; a unit has no gradient
        unit = above.detach().amax(1).clamp(min=torch.finfo(torch.float32).tiny)  # (B, H)
        power = 1 + nn.functional.softplus(self.raw_power)
        mean = mean_of_tokens((above / unit.unsqueeze(1)) ** power, real)  # (B, H), 1 / T or more
        # or 0 where all tokens agree: there a root has no finite gradient
        return low + unit * mean.clamp(min=1e-9) ** (1 / power) * (mean > 0)


class WeightedLayerPooling(Pooling):
    """Learned average of upper layers, then of tokens (Peters et al. 2018, arXiv:1802.05365).

    The weights start equal and pass a softmax, so they stay positive and sum to 1.
    """

    reads_one_layer = False

    def __init__(
        self,
        hidden_size: int,
        num_layers: int,
        *,
        layer_start: int | None = None,
        tokens: str = "mean",
    ) -> None:
        """Average `hidden_states[layer_start:]`; None means the last four, or all if fewer.

        Args:
            tokens: the pooling of the averaged layers' tokens.
        """
        super().__init__(hidden_size, num_layers)
        if layer_start is None:
            layer_start = num_layers + 1 - max(1, min(4, num_layers))
        check_whole("weighted_layer", "layer_start", layer_start, 0, num_layers)
        self.layer_start = layer_start
        self.layer_weights = nn.Parameter(torch.zeros(num_layers + 1 - layer_start))
        self.tokens = pooling_of_tokens("weighted_layer", tokens, hidden_size)
        self.output_dim = self.tokens.output_dim

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        layers, weights = hidden_states[self.layer_start :], self.layer_weights.softmax(0)
        average = weights[0] * fill_padding(layers[0], real, 0.0)  # (B, T, H)
        for weight, layer in zip(weights[1:], layers[1:], strict=True):
            average = average + weight * fill_padding(layer, real, 0.0)
        return self.tokens.pool((average,), real, input_ids)


class ConcatLayersPooling(Pooling):
    """Vectors of the last four layers side by side (Devlin et al. 2019, arXiv:1810.04805).

    There, in table 7, they are those of tokens; of a text Kaggle's solutions take the first token.
    """

    reads_one_layer = False

    def __init__(
        self, hidden_size: int, num_layers: int, *, layers: int | None = None, tokens: str = "cls"
    ) -> None:
        """Put the last `layers` side by side; None means four, or all if fewer.

        Args:
            tokens: the pooling of each layer's tokens, with parameters of its own.
        """
        super().__init__(hidden_size, num_layers)
        if layers is None:
            layers = max(1, min(4, num_layers))
        check_whole("concat_layers", "layers", layers, 1, max(1, num_layers))
        poolings = [pooling_of_tokens("concat_layers", tokens, hidden_size) for _ in range(layers)]
        self.layers = nn.ModuleList(poolings)
        self.output_dim = sum(pooling.output_dim for pooling in poolings)

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        pairs = zip(self.layers, hidden_states[-len(self.layers) :], strict=True)
        return torch.cat([pooling((state,), real, input_ids) for pooling, state in pairs], 1)


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


class LstmPooling(Pooling):
    """Average of a bidirectional LSTM's outputs on the real tokens (Graves & Schmidhuber 2005).

    Each direction has half of the hidden size, as in the code of the first place of the Kaggle
    competition Feedback Prize ELL, efficiency track.
    """

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__(hidden_size, num_layers)
        self.lstm = nn.LSTM(hidden_size, hidden_size // 2, bidirectional=True, batch_first=True)
        self.output_dim = 2 * (hidden_size // 2)

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        tokens = fill_padding(hidden_states[-1], real, 0.0)
        # real tokens to the front, in their order: packed, the LSTM reads these alone
        order = (~real).int().argsort(dim=1, stable=True).unsqueeze(-1).expand_as(tokens)
        n_tokens = real.sum(1).clamp(min=1)  # an empty text has one of zeros, left out below
        packed = nn.utils.rnn.pack_padded_sequence(
            tokens.gather(1, order), n_tokens.cpu(), batch_first=True, enforce_sorted=False
        )
        read, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        kept = torch.arange(read.shape[1], device=real.device) < real.sum(1, keepdim=True)
        return mean_of_tokens(read, kept)


class IdfPooling(Pooling):
    """Average of the real tokens, weighted by rarity (De Boom et al. 2016, arXiv:1607.00570).

    A token in df of n training texts has the weight `log((1 + n) / (1 + df)) + 1`, a special token
    0; before `fit` all others have 1. A text of special tokens only is averaged evenly.
    """

    idf: Tensor  # (vocab_size,) float32, saved with the model

    def __init__(
        self, hidden_size: int, num_layers: int, *, vocab_size: int, special_ids: Iterable[int]
    ) -> None:
        """`vocab_size` is that of the backbone's embedding; a tokenizer's can be less."""
        super().__init__(hidden_size, num_layers)
        # Gemma 3 has one of images behind the vocabulary, which no text holds
        self.special_ids = [token for token in special_ids if token < vocab_size]
        self.register_buffer("idf", torch.ones(vocab_size, dtype=torch.float32))
        self.idf[self.special_ids] = 0.0

    def fit(self, token_ids: Iterable[NDArray[np.int32]]) -> None:
        """Set the weights from the training texts, each of which counts once for a token."""
        n_texts, document_frequency = 0, np.zeros(len(self.idf))
        for ids in token_ids:
            n_texts += 1
            document_frequency[ids] += 1  # a repeated id counts once: not np.add.at
        self.idf.copy_(torch.from_numpy(np.log((1 + n_texts) / (1 + document_frequency)) + 1))
        self.idf[self.special_ids] = 0.0

    def pool(self, hidden_states: Sequence[Tensor], real: Tensor, input_ids: Tensor) -> Tensor:
        weights = self.idf[input_ids.masked_fill(~real, 0)].masked_fill(~real, 0.0)  # (B, T)
        only_special = ~weights.any(1, keepdim=True)  # (B, 1)
        return mean_of_tokens(hidden_states[-1], torch.where(only_special, real, weights))


def check_whole(pooling: str, option: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(
            f"pooling {pooling!r}: {option} is a whole number in [{low}, {high}], got {value!r}"
        )


def pooling_of_tokens(pooling: str, tokens: str, hidden_size: int) -> Pooling:
    """The pooling of a layer's tokens that the option `tokens` of another pooling names."""
    fitting = [
        name
        for name, kind in POOLINGS.items()
        if kind.reads_one_layer and all(o.default is not o.empty for o in own_options(kind))
    ]
    if tokens not in fitting:
        raise ValueError(
            f"pooling {pooling!r}: tokens {tokens!r} is no pooling of one layer; "
            f"{choices(tokens, sorted(fitting))}"
        )
    return POOLINGS[tokens](hidden_size, 0)


def own_options(kind: type[Pooling]) -> list[inspect.Parameter]:
    arguments = inspect.signature(kind).parameters.values()
    return [argument for argument in arguments if argument.kind is argument.KEYWORD_ONLY]


POOLINGS: dict[str, type[Pooling]] = {
    "cls": ClsPooling,
    "last": LastPooling,
    "mean": MeanPooling,
    "weighted_mean": WeightedMeanPooling,
    "mean_sqrt_len": MeanSqrtLenPooling,
    "max": MaxPooling,
    "min": MinPooling,
    "gem": GemPooling,
    "weighted_layer": WeightedLayerPooling,
    "concat_layers": ConcatLayersPooling,
    "attention": AttentionPooling,
    "lstm": LstmPooling,
    "idf": IdfPooling,
}
