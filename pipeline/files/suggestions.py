"""Our names for the names that people type: of metrics, models, blenders, poolings and settings."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

CLOSE = 0.75  # share of letters in common from which a name may be a slip of another

# other tools' names by ours; a number may stand for k; case, spaces, -, _, @ and the parts neg_,
# _score and _pooling make no difference
SYNONYMS = {
    # metrics
    "rmse": "root_mean_squared_error mse mean_squared_error l2",
    "mae": "mean_absolute_error l1",
    "mcrmse": "mean_columnwise_rmse columnwise_rmse mean_columnwise_root_mean_squared_error",
    "pearson": "pearsonr pearson_correlation pearson_correlation_coefficient pearson_corr pcc",
    "spearman": "spearmanr spearman_correlation spearman_correlation_coefficient spearman_corr",
    "accuracy": "acc categorization_accuracy",
    "rmsle": "root_mean_squared_log_error root_mean_squared_logarithmic_error",
    "mape": "mean_absolute_percentage_error",
    "f1_macro": "macro_f1",
    "f1_micro": "micro_f1",
    "fbeta": "f2 f5",
    "map_at_k": "map_k mean_average_precision",
    "top_k_accuracy": "top_k accuracy_k",
    "auc": "roc_auc auroc roc roc_auc_ovr mean_columnwise_roc_auc area_under_roc_curve "
    "area_under_receiver_operating_characteristic_curve",
    "logloss": "cross_entropy binary_logloss multi_logloss multiclass_logloss multiclass_loss bce",
    "mcc": "matthews_corrcoef matthews_correlation_coefficient matthews",
    "qwk": "quadratic_weighted_kappa weighted_kappa kappa cohen_kappa",
    # poolings
    "mean": "avg average",
    "cls": "cls_token",
    "attention": "attn",
    "mean_sqrt_len": "mean_sqrt_len_tokens sqrtn",
    "gem": "gem_text generalized_mean",
    "concat_layers": "concat concatenate",
    # losses
    "mse": "l2 mean_squared_error squared_error",
    "smooth_l1": "huber",
    "bce": "binary_cross_entropy bce_with_logits",
    "cross_entropy": "ce nll categorical_cross_entropy",
    "focal": "focal_loss",
    "ordinal": "coral corn",
    # classic models and blenders
    "tfidf_linear": "tfidf tfidf_ridge tfidf_logistic",
    "embedding_svr": "svr svm svc rapids_svr",
    "lightgbm_text": "lightgbm lgbm lgb",
    "lightgbm": "lgbm lgb gbm",
    "logistic": "logistic_regression logreg",
    "linear": "linear_regression ols",
    "hill_climb": "hill_climbing hillclimbing",
    # settings
    "competition": "name",
    "task": "problem_type",
    "metric": "eval_metric scoring",
    "backbone": "model_name model_name_or_path checkpoint encoder pretrained model",
    "seed": "random_state random_seed",
    "members": "models",
    "data.train": "train_path train_csv train_file",
    "data.test": "test_path test_csv test_file",
    "data.sample_submission": "sample sample_csv sample_sub",
    "data.id": "id_column id_col",
    "data.text": "text_column text_col texts",
    "data.target": "target_column target_col targets label labels",
    "data.group": "group_column group_col groups",
    "folds.n": "n_folds num_folds n_splits kfold",
    "training.epochs": "num_epochs n_epochs num_train_epochs",
    "training.batch_size": "batch bs train_batch_size per_device_train_batch_size",
    "training.learning_rate": "lr",
    "training.head_learning_rate": "head_lr",
    "training.loss": "criterion loss_fn loss_function objective",
    "training.warmup": "warmup_ratio warmup_steps",
    "training.weight_decay": "wd",
    "training.max_length": "max_len maxlen max_seq_length max_seq_len max_tokens",
    "training.truncation": "truncation_side truncate",
    "training.windows": "n_windows max_windows sliding_window num_windows",
    "training.window_overlap": "stride doc_stride overlap",
    "training.freeze_layers": "n_freeze_layers num_freeze_layers frozen_layers freeze_n_layers",
    "training.layer_decay": "llrd layerwise_lr_decay layer_wise_lr_decay lr_decay",
    "training.precision": "bf16 fp16 amp mixed_precision dtype",
    "training.trainer": "gradient_accumulation_steps gradient_checkpointing lr_scheduler_type "
    "max_grad_norm label_smoothing_factor label_smoothing optim",
    "blend.methods": "method blender blenders",
    "blend.external": "externals",
    "jobs.n_jobs": "workers n_workers num_workers",
}
# well-known names that look like ours and mean something else
OTHERS = "msle mean_squared_log_error smape average_precision"


def folded(name: str) -> str:
    """The name without case, spaces, -, _ and @."""
    return re.sub("[-_@ ]", "", name.casefold())


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def meant_by(name: str, known: Iterable[str], part: Callable[[str], str] = _last) -> list[str]:
    """The known names that another name stands for, or is a slip of; none if none is close.

    Names of the same section are preferred.

    Args:
        part: the part of a name that counts: of settings the last, after the dot.
    """
    known, section = list(known), name.rpartition(".")[0]
    word = folded(part(name))
    word = word.removeprefix("neg").removesuffix("score").removesuffix("pooling") or word
    words = {word, re.sub(r"\d+", "k", word)}
    meant = [our for our in known if folded(part(our)) in words]
    if not meant:
        ours = [our for our, other in SYNONYMS.items() if words & set(map(folded, other.split()))]
        parts = [part(our) for our in ours]
        meant = [our for our in known if our in ours] or [k for k in known if part(k) in parts]
    if not meant and word not in map(folded, OTHERS.split()):
        names = [folded(part(our)) for our in known]
        near = difflib.get_close_matches(word, names, n=1, cutoff=CLOSE)
        meant = [our for our, own in zip(known, names, strict=True) if own in near]
    return [our for our in meant if our.rpartition(".")[0] == section] or meant


def did_you_mean(meant: Sequence[str]) -> str:
    return f"did you mean {' or '.join(meant)}?"


def choices(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: what it stands for, then all that are known."""
    known = list(known)
    meant = meant_by(name, known, part=str) if isinstance(name, str) else []
    # two forms of Unicode look the same
    show = repr if str(name).isascii() and all(map(str.isascii, meant)) else ascii
    hint = f"{did_you_mean([*map(show, meant)])} " if meant else ""
    return f"{hint}choose one of: {', '.join(known)}"
