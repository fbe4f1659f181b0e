"""Backbone, pooling and head as one network with its loss; the head's start.

Letters: B texts, T tokens, H hidden, L layers, n rows, c outputs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pipeline.members.bert.adapters import add_adapters
from pipeline.members.bert.layers import freeze_lowest
from pipeline.members.bert.losses import Loss
from pipeline.members.bert.named_poolings import build_pooling
from pipeline.members.bert.poolings import Pooling
from pipeline.members.bert.pretrained import read_config, read_model, read_tokenizer
from pipeline.members.bert.tokens import tokenize
from pipeline.members.bert.windows import Inputs, Windows, read_in_windows
from pipeline.settings.fine_tuning import Lora

PADDING_MOVES = 1e-2  # at most, of the difference of two texts; rounding moves far less
HEAD_SD = 5e-3  # of the initial weights: near the constant, yet gradients reach the backbone


class Network(nn.Module):
    """A text's (c,) outputs: standardised values or logits; its loss, if it is to be trained."""

    def __init__(
        self,
        backbone: nn.Module,
        pooling: Pooling,
        n_outputs: int,
        loss: Loss | None,
        *,
        is_normalised: bool,
        windows: Windows | None,
    ) -> None:
        super().__init__()
        self.backbone: Any = backbone
        self.config: Any = backbone.config  # Trainer reads it, for label smoothing for one
        self.pooling = pooling
        width = pooling.output_dim
        self.norm: nn.Module = nn.LayerNorm(width) if is_normalised else nn.Identity()
        self.head = nn.Linear(width, n_outputs)
        self.loss = loss
        self.windows = windows

    def get_input_embeddings(self) -> nn.Module:
        """Trainer adds noise to these, if asked."""
        return self.backbone.get_input_embeddings()

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Trainer calls this to trade time for memory."""
        self.backbone.activation_checkpointing_enable(**options)

    @property
    def attention(self) -> str:
        """The backbone's attention as transformers names it: "eager", "sdpa"."""
        return str(self.config._attn_implementation)

    def attend_by(self, name: str) -> None:
        self.backbone.set_attn_implementation(name)

    def pooled(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """The vectors (B, output_dim) float32 of a batch of (B, T) tokens, before the head.

        Texts of more tokens than a window are read in windows, which the pooling gets side by side.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        # a RoBERTa has one type, whatever its tokenizer gives
        if token_type_ids is not None and getattr(self.config, "type_vocab_size", 2) > 1:
            inputs["token_type_ids"] = token_type_ids
        if self.windows is None:
            hidden_states = self.read(inputs)
        else:
            hidden_states = read_in_windows(self.read, inputs, self.windows)
        return self.pooling(hidden_states, attention_mask, input_ids)

    def read(self, inputs: Inputs) -> Sequence[Tensor]:
        """The L + 1 hidden states (B, T, H) of (B, T) tokens, embeddings first."""
        if self.config.model_type == "longformer":
            # the first token sees all others, as in Beltagy et al. 2020, arXiv:2004.05150
            mask = inputs["attention_mask"]
            first = mask.argmax(1, keepdim=True)
            seen_by_all = torch.zeros_like(mask).scatter(1, first, 1)
            inputs = {**inputs, "global_attention_mask": seen_by_all}
        outputs = self.backbone(**inputs, output_hidden_states=True)
        # some backbones normalise the last hidden state after listing it
        return (*outputs.hidden_states[:-1], outputs.last_hidden_state)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Outputs (B, c) of a batch of (B, T) tokens, and the loss where labels are given."""
        pooled = self.pooled(input_ids, attention_mask, token_type_ids)
        with torch.autocast(pooled.device.type, enabled=False):
            logits = self.head(self.norm(pooled))
            result = {"logits": logits}
            if labels is not None and self.loss is not None:
                result["loss"] = self.loss(logits, labels, weights)
        return result


def build_network(
    backbone: Path,
    pooling: str,
    options: Mapping[str, Any],
    n_outputs: int,
    loss: Loss | None = None,
    *,
    task: str | None = None,
    dropout: float | None,
    freeze_embeddings: bool,
    lora: Lora | None = None,
    windows: Windows | None = None,
    freeze_layers: int = 0,
) -> Network:
    """A network on the pretrained backbone in a folder, in float32; seed torch before the call."""
    config = read_config(backbone)
    if dropout is not None:
        _set_dropout(config, dropout)
    config.use_cache = False  # of a decoder, for generating text
    if getattr(config, "attention_type", None) == "block_sparse":
        # BigBird's first short batch would switch it for good, and a reloaded network begins anew
        config.attention_type = "original_full"
    model = read_model(backbone, config)
    if getattr(model, "pooler", None) is not None:
        model.pooler.requires_grad_(False)  # BERT's own, which our poolings do not use
    if freeze_embeddings:
        getattr(model, "embeddings", model.get_input_embeddings()).requires_grad_(False)
    if lora is not None:
        add_adapters(model, lora)
    if freeze_layers:
        freeze_lowest(model, freeze_layers)
    module = build_pooling(pooling, config.hidden_size, config.num_hidden_layers, **options)
    return Network(
        model, module, n_outputs, loss, is_normalised=task in module.normalised_for, windows=windows
    )


def start_head(head: nn.Linear, constant: Tensor) -> None:
    """Make the head predict almost the (c,) constant outputs; seed torch first.

    With a zero bias a label of 1 % of the rows starts at one half, and AdamW, which moves a bias by
    the learning rate per step, spends the first hundred steps on base rates (Lin et al. 2017,
    arXiv:1708.02002, section 4.1).
    """
    nn.init.normal_(head.weight, std=HEAD_SD)
    with torch.no_grad():
        head.bias.copy_(constant)


def check_network(name: str, backbone: Path) -> None:
    """Raise a ValueError unless the vectors of two texts are finite, differ and ignore padding."""
    prefix = f"backbone {backbone}: "
    try:
        problem = _problem(backbone)
    except Exception as error:  # of any type, from transformers
        message = " ".join(str(error).split())
        if message.startswith(prefix):
            raise ValueError(f"backbone {name}: {message.removeprefix(prefix)}") from None
        kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        problem = f"it cannot be used ({kind}{message[:200]})"
    if problem is not None:
        raise ValueError(
            f"backbone {name}: {problem}; download it again, or choose another encoder"
        )


@torch.inference_mode()
def _problem(backbone: Path) -> str | None:
    tokenizer = read_tokenizer(backbone)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        return "its tokenizer has no vocabulary"
    tokens = tokenize(tokenizer, [("a",)], max_length=4)
    network = build_network(backbone, "mean", {}, 1, dropout=None, freeze_embeddings=True).eval()
    for key, tensor in network.backbone.named_parameters():
        if not tensor.isfinite().all():
            return f"its weight {key!r} holds NaN or infinity"
    n_rows = int(network.config.vocab_size)
    largest = max(tokenizer.vocab_size - 1, tokens.pad_id, *tokens.ids.tolist())
    if largest >= n_rows:
        return f"its tokenizer gives token {largest}, its vocab_size is {n_rows}"
    two_texts = torch.arange(8).reshape(2, 4) % n_rows
    vectors = network.pooled(two_texts, torch.ones_like(two_texts))
    if not vectors.isfinite().all():
        return "its vectors hold NaN or infinity"
    if vectors[0].equal(vectors[1]):
        return "all texts get the same vector"
    padded = (pad(two_texts, (0, 4), value=tokens.pad_id), pad(torch.ones_like(two_texts), (0, 4)))
    change = (network.pooled(*padded) - vectors).abs().max()
    if change > PADDING_MOVES * (vectors[0] - vectors[1]).abs().max():
        return "a text's vector changes with the padding of its batch"
    return None


def trained_tensors(network: Network) -> dict[str, Tensor]:
    """The tensors that the backbone's files lack: trained parameters, pooling and head."""
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    return {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if name in trained or not name.startswith("backbone.")
    }


def load_trained_tensors(network: Network, tensors: dict[str, Tensor]) -> None:
    """Replace pretrained tensors by trained ones; a ValueError if a name is missing or unknown."""
    expected = set(trained_tensors(network))
    if set(tensors) != expected:
        odd = sorted(expected ^ set(tensors))
        raise ValueError(f"{len(odd)} tensors are missing or unknown, first {odd[0]!r}")
    network.load_state_dict(tensors, strict=False)


def _set_dropout(config: Any, share: float) -> None:
    """Set every dropout of the config, which has the word in its name, or pdrop as in GPT-2."""
    for key, value in config.to_dict().items():
        is_dropout = "dropout" in key or key.endswith("pdrop")
        if is_dropout and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(config, key, share)
