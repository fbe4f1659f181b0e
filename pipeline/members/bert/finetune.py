"""Fit a network on a unit's training rows; predict with it. Letters: n rows, c outputs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PrinterCallback

from pipeline.members.bert.layers import rates_of
from pipeline.members.bert.losses import free
from pipeline.members.bert.network import Network
from pipeline.members.bert.tokens import Tokens, TrainingRows, collate
from pipeline.members.bert.trainer import (
    LengthGroupedTrainer,
    LogFile,
    refuse_overflow,
    training_arguments,
)
from pipeline.members.defaults import scheduled
from pipeline.scoring.tasks import TASKS, Floats, Scaling
from pipeline.settings.fine_tuning import Training

# tokens of a prediction batch, padding included; a CPU is twice as fast if its cache holds them
PREDICTION_TOKENS = {"cpu": 1_024, "cuda": 16_384}
PREDICTION_TEXTS = 256  # at most: DeBERTa needs 1.6 MB for each text, however short
SHORT_TEXT = 128  # tokens
# backbones whose code mixes float32 with half precision and stops at the first batch
FP32_ONLY = ("deberta", "xmod")  # not DeBERTa-v2 and -v3, whose type is deberta-v2
FEW_TEXTS = 8  # on which a new head's loss is looked at
START_EXCESS = 0.01  # at most, of the loss of the constant prediction

# cuDNN plans its attention anew for every length of a batch, and ours differ; other kernels do not
torch.backends.cuda.enable_cudnn_sdp(False)


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has units for bf16: AVX512-BF16 or AMX."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def best_precision() -> str:
    """The fastest precision of the device: bf16, else on a GPU's tensor cores fp16, else fp32.

    A CPU without bf16 units multiplies bf16 several times as slowly as fp32.
    """
    if best_device().type == "cpu":
        return "bf16" if cpu_multiplies_bf16() else "fp32"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16"
    return "fp16" if torch.cuda.get_device_capability() >= (7, 0) else "fp32"


def shrink_head(network: Network, dataset: TrainingRows) -> float:
    """Shrink a started head's weights until the loss is almost the constant's, which is returned.

    Pooled vectors of wide backbones, and sums of tokens, are up to 36 times as long as MiniLM's
    means (docs/LOG.md, "Norms of pooled vectors"). Each of a few texts is scored with the labels of
    all rows: those of its own would tell by chance.
    """
    loss, constant = network.loss, network.head.bias.detach().clone()
    few = dataset.tokens.take(dataset.rows[:FEW_TEXTS])

    def mean_loss(outputs: torch.Tensor) -> float:
        n = len(dataset.labels)
        each = [loss(o.expand(n, -1), dataset.labels, dataset.weights) for o in outputs]  # type: ignore[misc]
        return float(torch.stack(each).mean())

    of_constant = mean_loss(constant[None])
    excess = mean_loss(torch.from_numpy(_logits(network, few)).float()) - of_constant
    if excess > START_EXCESS * of_constant:  # it is about quadratic in the weights
        with torch.no_grad():
            network.head.weight.mul_((START_EXCESS / 2 * of_constant / excess) ** 0.5)
    return of_constant


def fit(
    network: Network, dataset: TrainingRows, training: Training, *, seed: int, log: Path
) -> dict[str, Any]:
    """Train `network` in place; cost and final loss of the training, for `run.json`.

    Args:
        network: with a loss.
        dataset: rows to train on, with labels as from `labels_for_loss`.
        training: as from `for_backbone`, with rates.
        seed: of the order of the rows and of dropout.
        log: file for Trainer's log, one JSON per line.
    """
    network.pooling.fit(dataset.tokens.of(row) for row in dataset.rows)
    network.loss.constrain(network.head)  # type: ignore[union-attr]
    training = scheduled(training, len(dataset))
    own = "fp32" if network.config.model_type in FP32_ONLY else best_precision()
    precision, device = training.precision or own, best_device().type
    trainer = LengthGroupedTrainer(
        model=network,
        args=training_arguments(training, seed, log.parent, device, precision),
        train_dataset=dataset,
        data_collator=dataset.collate,
        callbacks=[LogFile(log)],
    )
    trainer.rates = rates_of(network.backbone, trainer.args.learning_rate, training.layer_decay)
    trainer.head_rate = training.head_learning_rate  # type: ignore[assignment]
    attention = network.attention  # for predictions, here and after reloading
    longest = int(dataset.lengths.max())
    if network.windows is not None:
        longest = min(longest, network.windows.width)
    network.attend_by(fastest_attention(precision, longest) or attention)
    trainer.remove_callback(PrinterCallback)
    first_scale = trainer.accelerator.scaler.get_scale() if precision == "fp16" else 1.0
    start = time.perf_counter()
    trainer.train()
    seconds, steps = time.perf_counter() - start, trainer.state.global_step
    if precision == "fp16":
        refuse_overflow(first_scale, trainer.accelerator.scaler.get_scale(), steps)
    # without this the network would predict in half precision, the reloaded one in float32
    trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    free(network.head)
    network.attend_by(attention)
    network.zero_grad()  # frees memory for the predictions
    smooths = training.trainer.get("label_smoothing_factor")  # Trainer then logs another loss
    return {
        "seconds": round(seconds, 3),
        # without padding
        "tokens_per_second": round(
            float(dataset.lengths.sum()) * training.epochs / seconds  # type: ignore[operator]
        ),
        "epochs_trained": training.epochs,
        "batch_size": training.batch_size,
        "steps": steps,
        "last_loss": None if smooths else _last_loss(trainer.state.log_history),
        "precision": precision,
    }


def fastest_attention(precision: str, longest: int) -> str | None:
    """The backbone's attention in training; None: its default.

    On a CPU the fused kernel's backward pass is slower than plain products for short texts.
    """
    short = longest <= SHORT_TEXT
    return "eager" if best_device().type == "cpu" and precision == "bf16" and short else None


def _last_loss(log: Sequence[dict[str, float]]) -> float | None:
    """Mean of the losses logged over the last tenth of the steps; None if none was logged."""
    losses = [line["loss"] for line in log if "loss" in line]
    return float(np.mean(losses[-max(1, len(losses) // 10) :])) if losses else None


def predict(network: Network, tokens: Tokens, task: str, scaling: Scaling | None) -> Floats:
    """Predictions (n, c) float64 of all texts, in their order, on the prediction scale."""
    restore = scaling.restore if scaling else TASKS[task].to_prediction
    return restore(_logits(network, tokens))


def _logits(network: Network, tokens: Tokens) -> Floats:
    width = network.head.out_features
    return outputs_of(network, lambda batch: network(**batch)["logits"], width, tokens)


@torch.no_grad()  # inference_mode would leave buffers that a training after it cannot use
def outputs_of(
    network: nn.Module,
    forward: Callable[[dict[str, torch.Tensor]], torch.Tensor],
    width: int,
    tokens: Tokens,
) -> Floats:
    """Outputs of `forward` for all texts, (n, width) float64 in their order.

    Texts are sorted by length, which keeps padding short, and always computed in float32.

    Args:
        forward: (B, T) tensors by argument name to (B, width), through `network`.
    """
    network.eval()
    device = best_device()
    network.to(device)
    lengths = tokens.lengths
    order = np.argsort(lengths, kind="stable")[::-1]
    outputs = np.empty((len(order), width))
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        n_texts = min(max(1, PREDICTION_TOKENS[device.type] // longest), PREDICTION_TEXTS)
        rows = order[start : start + n_texts]
        batch = collate(tokens, rows)
        vectors = forward({name: tensor.to(device) for name, tensor in batch.items()})
        outputs[rows] = vectors.double().cpu().numpy()
        start += n_texts
    return outputs


def labels_for_loss(task: str, y: NDArray[Any], scaling: Scaling | None) -> torch.Tensor:
    """Targets for the loss: (n, c) float32, standardised or 0/1, or (n,) int64 class codes.

    Probabilities of classes, (n, c), remain what they are. Missing targets are 0, of weight 0.
    """
    if scaling is not None:
        y = scaling.standardise(y)
    y = np.where(np.isnan(y), 0, y)
    if task == "binary":
        y = y[:, None]
    is_code = task == "multiclass" and y.ndim == 1
    return torch.from_numpy(y.astype(np.int64 if is_code else np.float32))


def weights_for_loss(task: str, weights: Floats | None) -> torch.Tensor | None:
    """Weights from `members.label_weights` in the shape of the losses, float32; None if none."""
    if weights is None:
        return None
    return torch.from_numpy(weights[:, None] if task == "binary" else weights).float()
