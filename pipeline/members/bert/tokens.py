"""Texts as token ids: tokenised once, batched by length. Letters: B texts, T tokens.

The tokens of all texts lie in flat arrays, which worker processes share by memory mapping.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from pipeline.members.bert.cutting import windows_of
from pipeline.settings.template import BREAK

TEXTS_AT_ONCE = 2_000  # a tokenizer needs 180 bytes a token, cut off or not
# architectures whose first position is the one after the id of padding
POSITIONS_AFTER_PADDING = re.compile(
    "camembert|data2vec-text|esm|ibert|lilt|longformer|luke|mpnet|xmod"
    "|(xlm-)?roberta(-xl|-prelayernorm)?"
)
BATCHES_A_POOL = 50  # batches whose rows are sorted together: little padding, yet random batches


@dataclass(frozen=True)
class Tokens:
    """The tokens of n texts.

    Attributes:
        ids: (all tokens,) int32, text after text, special tokens included; a text in several
            windows is window after window, all but the last of full length.
        type_ids: (all tokens,) int8, the text of a pair that a token belongs to; None if the
            backbone does not take them.
        starts: (n + 1,) int64; text i is `ids[starts[i]:starts[i + 1]]`.
        n_cut: texts that lost tokens, of all that were tokenised.
        pad_id: the id that fills up a batch.
    """

    ids: NDArray[np.int32]
    type_ids: NDArray[np.int8] | None
    starts: NDArray[np.int64]
    n_cut: int
    pad_id: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens of each text."""
        return np.diff(self.starts)

    def take(self, rows: NDArray[np.int64]) -> "Tokens":
        """The tokens of some texts."""
        first = self.starts[rows]
        lengths = self.starts[1:][rows] - first  # of these alone: each batch takes its own
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.arange(starts[-1]) + np.repeat(first - starts[:-1], lengths)
        types = None if self.type_ids is None else self.type_ids[at]
        return Tokens(self.ids[at], types, starts, self.n_cut, self.pad_id)

    def of(self, row: int) -> NDArray[np.int32]:
        """The token ids of one text."""
        return self.ids[self.starts[row] : self.starts[row + 1]]


def positions_of(config: Any) -> int:
    """The most tokens of a text for which the backbone has positions; 0 if it has none."""
    positions = getattr(config, "max_position_embeddings", 0)
    if POSITIONS_AFTER_PADDING.fullmatch(getattr(config, "model_type", "")):
        positions -= config.pad_token_id + 1
    return max(0, positions)  # XLNet has -1 for no limit


def tokenize(
    tokenizer: Any,
    texts: Sequence[tuple[str, ...]],
    max_length: int,
    truncation: str = "head",
    n_windows: int = 1,
    overlap: float = 0.0,
) -> Tokens:
    """Tokenise texts or sentence pairs; longer ones are cut, or read in windows.

    Args:
        tokenizer: a fast tokenizer of transformers.
        texts: n tuples of one text or of two.
        max_length: most tokens of a window.
        truncation: what is kept of a text that `n_windows` do not hold, as in `cutting`.
        overlap: share of a window that the next one repeats.
    Raises:
        ValueError: the tokenizer is not a fast one, or cannot pad.
    """
    if not tokenizer.is_fast:
        raise ValueError(
            f"backbone {tokenizer.name_or_path}: has a slow tokenizer only; "
            "choose one whose files hold a tokenizer.json"
        )
    # decoders such as Llama have no padding token; any does, as padding is masked
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    if pad_id is None:
        raise ValueError(
            f"backbone {tokenizer.name_or_path}: its tokenizer has neither a padding token nor one "
            "for the end of a text; choose an encoder such as BERT"
        )
    ids, type_ids, lengths, n_cut = [np.zeros(0, np.int32)], [np.zeros(0, np.int8)], [0], 0
    has_types = "token_type_ids" in tokenizer.model_input_names
    spelled = _spells_only_separators(tokenizer)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # both may be set in tokenizer.json
    backend.no_padding()
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        rows = [tuple(map(spelled, row)) for row in texts[start : start + TEXTS_AT_ONCE]]
        for encoding in backend.encode_batch([row if len(row) == 2 else row[0] for row in rows]):
            # a decoder gives an empty text no token at all
            of_text = np.array(encoding.ids or [pad_id], np.int32)
            kept = np.arange(len(of_text))
            if len(of_text) > max_length:
                owners = encoding.sequence_ids
                windows = windows_of(owners, max_length, truncation, n_windows, overlap)
                kept = np.concatenate(windows)
                n_cut += len(np.unique(kept)) < len(of_text)
            lengths.append(len(kept))
            ids.append(of_text[kept])
            if has_types:
                type_ids.append(np.array(encoding.type_ids or [0], np.int8)[kept])
    return Tokens(
        np.concatenate(ids),
        np.concatenate(type_ids) if has_types else None,
        np.cumsum(lengths, dtype=np.int64),
        n_cut,
        pad_id,
    )


def _spells_only_separators(tokenizer: Any) -> Callable[[str], str]:
    """A function of a text that breaks special tokens such as [SEP] by a space: they are words.

    Only a template's {sep} becomes a token; a tokenizer without a separator reads a line break.

    `split_special_tokens` of transformers does the same, but not for DeBERTa-v3 and XLM-R, whose
    vocabularies hold the special tokens as pieces of text, and which read full-width characters as
    the plain ones.
    """
    added = tokenizer.added_tokens_decoder.values()
    special = {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}
    # the longest first, of two that begin alike
    token = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))))
    separator, normalizer = tokenizer.sep_token or "\n", tokenizer.backend_tokenizer.normalizer

    def broken(text: str) -> str:
        return token.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def words(text: str) -> str:
        text = broken(text)
        normal = normalizer.normalize_str(text) if normalizer is not None else text
        return broken(normal) if token.search(normal) else text

    return lambda text: separator.join(map(words, text.split(BREAK)))


def collate(tokens: Tokens, rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
    """A batch of texts, padded on the right to the longest: (B, T) tensors by argument name."""
    taken = tokens.take(rows)
    real = np.arange(taken.lengths.max()) < taken.lengths[:, None]
    input_ids = np.full(real.shape, tokens.pad_id, dtype=np.int64)
    input_ids[real] = taken.ids
    batch = {
        "input_ids": torch.from_numpy(input_ids),
        "attention_mask": torch.from_numpy(real.astype(np.int64)),
    }
    if taken.type_ids is not None:
        types = np.zeros(real.shape, dtype=np.int64)
        types[real] = taken.type_ids
        batch["token_type_ids"] = torch.from_numpy(types)
    return batch


class TrainingRows(Dataset[int]):
    """A unit's training rows of `tokens`, with their labels; items are row numbers.

    Args:
        weights: of the labels, in their shape; None for equal ones.
    """

    def __init__(
        self,
        tokens: Tokens,
        rows: NDArray[np.int64],
        labels: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> None:
        self.tokens = tokens
        self.rows = rows
        self.labels = labels
        self.weights = weights

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, indices: list[int]) -> dict[str, torch.Tensor]:
        batch = {**collate(self.tokens, self.rows[indices]), "labels": self.labels[indices]}
        return batch if self.weights is None else {**batch, "weights": self.weights[indices]}

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.tokens.lengths[self.rows]


class LengthBatches(Sampler[int]):
    """Row numbers in random order, in batches of similar lengths that differ in every epoch.

    The sampler of transformers orders batches from long to short within a pool; here their order is
    random, so that length is not a trend within an epoch.
    """

    def __init__(self, lengths: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        shuffled = self.random.permutation(len(self.lengths))
        # the incomplete batch comes last, or it would shift the batches after it
        n_full = len(shuffled) - len(shuffled) % self.batch_size
        full, rest = shuffled[:n_full], shuffled[n_full:]
        # at least two pools: in a single pool small sets would repeat the same batches
        half = -(-n_full // self.batch_size // 2)
        pool_size = self.batch_size * max(1, min(BATCHES_A_POOL, half))
        pools = np.arange(n_full) // pool_size
        by_length = full[np.lexsort((self.lengths[full], pools))]  # within each pool
        batches = by_length.reshape(-1, self.batch_size)
        yield from batches[self.random.permutation(len(batches))].ravel().tolist()
        yield from rest.tolist()
