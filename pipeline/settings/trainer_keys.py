"""Fields of transformers.TrainingArguments that have settings of ours, which errors name.

A config must not set these fields under `trainer`.
"""

TRAINER_KEYS = {
    "num_train_epochs": "training.epochs",
    "max_steps": "training.epochs",
    "per_device_train_batch_size": "training.batch_size",
    "per_device_eval_batch_size": "training.batch_size",
    "learning_rate": "training.learning_rate",
    "warmup_steps": "training.warmup",
    "warmup_ratio": "training.warmup",
    "weight_decay": "training.weight_decay",
    "seed": "a member's seed",
    "data_seed": "a member's seed",
    "output_dir": "competition",
    "use_cpu": "the machine: a GPU is used if there is one",
    "dataloader_pin_memory": "the machine: memory is pinned where there is a GPU",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "train_sampling_strategy": "training: batches are always grouped by length",
    "length_column_name": "training: batches are always grouped by length",
    "remove_unused_columns": "training: the columns are fixed",
    "label_names": "data.target",
    "eval_strategy": "the folds: a unit predicts its fold once, at the end",
    "save_strategy": "the unit: it is written once, whole",
    "logging_strategy": "the unit's log",
    "report_to": "the unit's log",
    "disable_tqdm": "the bar over the units",
}
