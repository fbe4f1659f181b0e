"""Length of each pooling's vectors before training, and how far from the constant a head starts.

    python -m benchmarks.pooling_norms                          about 2 minutes on a free core

Pools texts of a demo by MiniLM and by larger architectures with random weights, in their published
sizes but with MiniLM's vocabulary. `norm` is the mean length of a vector. `excess` is what a head
with weights of `HEAD_SD` adds to the squared error of a standardised target, whose best constant
has 1, without `shrink_head`.

Writes benchmarks/results/pooling_norms.csv, a line per pooling, and .json.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import AutoModel, BertConfig, ModernBertConfig, PreTrainedConfig, set_seed

from benchmarks.gpu_speed import deberta_v3
from benchmarks.shared.command import parser_of
from benchmarks.shared.demo_rows import DemoRows, read_demo
from benchmarks.shared.record import record
from pipeline.members.bert.encoder import all_options
from pipeline.members.bert.named_poolings import build_pooling
from pipeline.members.bert.network import HEAD_SD, Network
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.pretrained import read_config, read_model, read_tokenizer
from pipeline.members.bert.tokens import collate

BATCH = 20
RANDOM: dict[str, PreTrainedConfig] = {
    "bert-base": BertConfig(),
    "bert-large": BertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    ),
    "deberta-v3-base": deberta_v3(768, 12),
    "modernbert-base": ModernBertConfig(),
}


def backbones(demo: DemoRows) -> Iterator[tuple[str, nn.Module]]:
    """The demo's own backbone, then those of `RANDOM`, one at a time."""
    config, tokenizer = read_config(demo.backbone), read_tokenizer(demo.backbone)
    yield demo.backbone.name, read_model(demo.backbone, config)
    for name, shape in RANDOM.items():
        shape.vocab_size = config.vocab_size
        shape.pad_token_id = tokenizer.pad_token_id
        set_seed(0)
        yield name, AutoModel.from_config(shape)


@torch.inference_mode()
def norms(demo: DemoRows, backbone: nn.Module) -> dict[str, np.ndarray]:
    """(n,) lengths of the vectors of all rows by pooling."""
    config: Any = backbone.config
    sizes = config.hidden_size, config.num_hidden_layers
    set_seed(0)
    poolings = {
        name: build_pooling(name, *sizes, **all_options(name, {}, demo.backbone))
        for name in POOLINGS
    }
    how: Any = {"is_normalised": False, "windows": None}
    network = Network(backbone, poolings["mean"], 1, None, **how).eval()
    parts: dict[str, list[np.ndarray]] = {name: [] for name in poolings}
    for start in range(0, len(demo.tokens), BATCH):
        batch = collate(demo.tokens, np.arange(start, min(start + BATCH, len(demo.tokens))))
        mask, ids = batch["attention_mask"], batch["input_ids"]
        states = network.read({"attention_mask": mask, "input_ids": ids})
        for name, pooling in poolings.items():
            parts[name].append(pooling(states, mask, ids).norm(dim=1).numpy())
    return {name: np.concatenate(part) for name, part in parts.items()}


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--config", default="configs/tweets.yaml")
    parser.add_argument("--rows", type=int, default=100)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    demo = read_demo(arguments.config, arguments.rows)
    lines = [
        {
            "backbone": name,
            "pooling": pooling,
            "norm": of_texts.mean(),
            "excess": HEAD_SD**2 * np.square(of_texts).mean(),
        }
        for name, backbone in backbones(demo)
        for pooling, of_texts in norms(demo, backbone).items()
    ]
    record("pooling_norms", pd.DataFrame(lines), arguments)


if __name__ == "__main__":
    main()
