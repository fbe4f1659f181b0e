"""The settings of `--quick`: all stages on few rows, to see in a minute or two that they run."""

from collections.abc import Collection, Sequence
from typing import Any

from pipeline.settings.config import Config
from pipeline.settings.members import AnyMember, Member

N_ROWS = 800
N_FOLDS = 2
N_EPOCHS = 1
N_MEMBERS = 2

ABOUT = (
    f"a competition of its own, NAME-quick: {N_ROWS} training rows, {N_FOLDS} folds, {N_EPOCHS} "
    f"epoch, the first {N_MEMBERS} fine-tuned members, no external predictors; without members, "
    "all rows and external predictors; settings on the command line win"
)


def quick_settings(config: Config, typed: Collection[str]) -> dict[str, Any]:
    """The settings of a config with the values of `--quick`, except for the dotted keys `typed`."""

    def quick(section: str, **values: object) -> Any:
        values = {key: value for key, value in values.items() if f"{section}.{key}" not in typed}
        return getattr(config, section).model_copy(update=values)

    training = quick("training", epochs=N_EPOCHS)
    values: dict[str, object] = {"training": training}
    if config.members:  # external predictors are of all rows, and quick to blend
        values["data"] = quick("data", train_rows=min(config.data.train_rows or N_ROWS, N_ROWS))
        values["blend"] = quick("blend", external=())
    if "competition" not in typed:
        values["competition"] = f"{config.competition}-quick"
    if config.folds.path is None:  # a file has the number of folds
        values["folds"] = quick("folds", n=N_FOLDS)
    members: Sequence[AnyMember] = [
        m.model_copy(update={"epochs": training.epochs}) if isinstance(m, Member) else m
        for m in config.members
    ]
    if "members" not in typed:  # classic ones only where fine-tuned ones are too few
        members = sorted(members, key=lambda m: not isinstance(m, Member))[:N_MEMBERS]
    quick_config = config.model_copy(update={**values, "members": tuple(members)})
    return quick_config.model_dump(exclude_unset=True, by_alias=True)
