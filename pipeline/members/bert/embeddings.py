"""Text embeddings of a frozen backbone. Letters: n rows, P texts a row, H hidden.

A text's vector is made as the backbone's own files say; each text of a pair has its own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.members.bert.finetune import outputs_of
from pipeline.members.bert.network import build_network
from pipeline.members.bert.pretrained import read_tokenizer
from pipeline.members.bert.tokens import positions_of, tokenize
from pipeline.members.jobs import run_all
from pipeline.members.pieces import Failure, Piece
from pipeline.members.sentences import recipe_of
from pipeline.settings.config import Jobs

Embeddings = NDArray[np.float32]
ROWS_A_PIECE = 1_000  # loading the backbone takes as long as a hundred short texts


def embed_texts(
    backbone: Path, max_length: int, texts: Sequence[tuple[str, ...]], jobs: Jobs
) -> Embeddings:
    """Vectors (n, P, H) of all texts, cut at `max_length` tokens, computed side by side."""
    pieces = []
    for k in range(0, max(1, len(texts)), ROWS_A_PIECE):
        arguments = (backbone, max_length, texts[k : k + ROWS_A_PIECE])
        pieces.append(Piece(f"rows from {k}", arguments, reads=(backbone,)))
    parts = run_all(embed, pieces, jobs, title="embed")
    for part in parts:
        if isinstance(part, Failure):
            raise ValueError(f"embedding with {backbone.name}: {part.label}: {part.reason}")
    return np.concatenate(parts)


def embed(backbone: Path, max_length: int, texts: Sequence[tuple[str, ...]]) -> Embeddings:
    """Vectors (n, P, H) of the texts, computed in this process."""
    tokenizer, recipe = read_tokenizer(backbone), recipe_of(backbone)
    network = build_network(backbone, recipe.pooling, {}, 1, dropout=None, freeze_embeddings=True)
    positions = positions_of(network.config) or max_length
    max_length = min(max_length, positions, tokenizer.model_max_length)
    prompted = [recipe.prompt + text for row in texts for text in row]
    if recipe.is_lower:
        prompted = [text.lower() for text in prompted]
    flat = tokenize(tokenizer, [(text,) for text in prompted], max_length)
    width = network.pooling.output_dim
    vectors = outputs_of(network, lambda batch: network.pooled(**batch), width, flat)
    if recipe.is_scaled:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)
    n_texts = len(texts[0]) if texts else 1
    return vectors.astype(np.float32).reshape(len(texts), n_texts, vectors.shape[1])
