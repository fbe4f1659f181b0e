"""The settings of `--quick`: all stages on few rows, to see in a minute or two that they run."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.settings.members import AnyMember, Member

N_ROWS = 800
N_FOLDS = 2
N_EPOCHS = 1
N_MEMBERS = 2

ABOUT = (
    f"a competition of its own, NAME-quick: {N_ROWS} training rows, {N_FOLDS} folds, {N_EPOCHS} "
    f"epoch, the first {N_MEMBERS} fine-tuned members, no external predictors; settings on the "
    "command line win"
)


def quick_settings(settings: Mapping[Any, Any]) -> dict[str, object]:
    """The values by dotted key that replace those of `settings`, the unchecked YAML."""
    values: dict[str, object] = {
        "training.epochs": N_EPOCHS,
        "data.train_rows": N_ROWS,
        "blend.external": [],
    }
    name = settings.get("competition")
    if isinstance(name, str | int):
        values["competition"] = f"{name}-quick"
    data = settings.get("data")
    n_rows = data.get("train_rows") if isinstance(data, dict) else None
    if isinstance(n_rows, int) and n_rows < N_ROWS:
        values["data.train_rows"] = n_rows
    folds = settings.get("folds")
    if not (isinstance(folds, dict) and folds.get("scheme") == "file"):  # the file has the number
        values["folds.n"] = N_FOLDS
    members = settings.get("members")
    if isinstance(members, list):
        values["members"] = [  # without epochs of their own
            {key: value for key, value in member.items() if key != "epochs"}
            if isinstance(member, dict)
            else member
            for member in members
        ]
    return values


def quick_members(members: Sequence[AnyMember]) -> tuple[AnyMember, ...]:
    """The first fine-tuned members, or just the first where too few are fine-tuned."""
    fine_tuned = [member for member in members if isinstance(member, Member)]
    return tuple(fine_tuned if len(fine_tuned) >= N_MEMBERS else members)[:N_MEMBERS]
