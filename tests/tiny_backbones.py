"""Tiny random backbones as folders that AutoModel and AutoTokenizer read."""

from pathlib import Path
from string import ascii_lowercase, digits
from typing import Any

import torch
from conftest import BAD, CLASSES, GOOD, PLAIN
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast
from transformers.utils import logging

import pipeline.members.bert.encoder  # noqa: F401  # with Trainer, before conftest freezes
from pipeline.settings.fine_tuning import Training

TRAINING = Training(
    epochs=2,
    batch_size=8,
    learning_rate=1e-2,
    head_learning_rate=1e-2,
    warmup=0.1,
    weight_decay=0.0,
    precision=None,
    trainer={},
)
TOKENIZER_LIMIT = 64
SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": TOKENIZER_LIMIT + 2,  # RoBERTa counts from behind its padding id
    "initializer_range": 0.3,  # so that texts differ by more than rounding
}
DECODER: dict[str, Any] = SIZES | {"num_key_value_heads": 1, "head_dim": 8}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": SIZES | {"type_vocab_size": 1},
    "xlm-roberta": SIZES | {"type_vocab_size": 1},
    "deberta-v2": SIZES
    | {
        "relative_attention": True,
        "position_buckets": 8,
        "pos_att_type": ["p2c", "c2p"],
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "electra": SIZES | {"embedding_size": 8},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    | {"max_position_embeddings": TOKENIZER_LIMIT, "initializer_range": 0.3},
    "modernbert": SIZES | {"global_attn_every_n_layers": 2, "local_attention": 8},
    "albert": SIZES | {"embedding_size": 8},
    "mpnet": SIZES,
    "eurobert": DECODER,
    "t5": {"d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 32},
    "longformer": SIZES | {"attention_window": 8, "type_vocab_size": 1},
    "qwen3": DECODER,
    "llama": DECODER,
    "gemma3_text": DECODER
    | {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
}
WITH_TYPE_IDS = ("bert", "electra", "deberta-v2")


def save_backbone(folder: Path, architecture: str, **overrides: Any) -> Path:
    """Write configuration, random weights and tokenizer of a backbone; dropouts stay as usual.

    Args:
        overrides: of the configuration.
    """
    tokenizer = make_tokenizer(architecture)
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id")
        for name in ("pad", "cls", "sep", "bos", "eos")
    }
    settings = {**ARCHITECTURES[architecture], **special, "vocab_size": len(tokenizer), **overrides}
    generator = torch.random.get_rng_state()
    torch.manual_seed(0)
    logging.disable_progress_bar()
    AutoModel.from_config(AutoConfig.for_model(architecture, **settings)).save_pretrained(folder)
    torch.random.set_rng_state(generator)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(architecture: str) -> PreTrainedTokenizerFast:
    """Byte-level for RoBERTas and ModernBERT, else WordPiece over the words of the competitions."""
    byte_level = architecture in ("roberta", "xlm-roberta", "modernbert")
    inner = _byte_level() if byte_level else _word_pieces()
    pad, unk, cls, sep = (
        ("<pad>", "<unk>", "<s>", "</s>") if byte_level else ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    )
    inner.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(token, inner.token_to_id(token)) for token in (cls, sep)],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    if architecture not in WITH_TYPE_IDS:
        names.remove("token_type_ids")
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        bos_token=cls,
        eos_token=sep,
        model_max_length=TOKENIZER_LIMIT,
        model_input_names=names,
    )


def _word_pieces() -> Tokenizer:
    letters = ascii_lowercase + digits + ".,!?'"
    words = [*GOOD, *BAD, *PLAIN, *(word for topic in CLASSES.values() for word in topic)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _byte_level() -> Tokenizer:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ġ", "a"), ("o", "n")]
    pieces += [left + right for left, right in merges]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
