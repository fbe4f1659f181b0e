"""The setting `metric`: a name, or a map: a name and its parameters, or a function in a file."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.files.messages import short
from pipeline.files.suggestions import choices, folded
from pipeline.scoring.names import PARAMETERS, TASKS_OF_METRIC, Setting
from pipeline.settings.section import Real, Section, Spelled, Whole


def _our_spelling(metric: str) -> str:
    """F1-Macro is f1_macro."""
    return {folded(name): name for name in TASKS_OF_METRIC}.get(folded(metric), metric)


class MetricMap(Section):
    """metric"""

    name: Annotated[Spelled, AfterValidator(_our_spelling)] | None = Field(
        None, description="name of the metric"
    )
    beta: Real | None = Field(None, gt=0, le=1000, description="of fbeta: the weight of recall")
    k: Whole | None = Field(None, ge=1, description="of map_at_k and top_k_accuracy: answers a row")
    column_weights: dict[Spelled, Real] | None = Field(
        None, description="weight of each of several targets or labels in the mean over them"
    )
    file: str | None = Field(None, description="Python file with a metric of your own")
    function: str = Field("score", description="its function, which takes targets and predictions")
    greater_is_better: bool | None = Field(
        None, description="whether a greater score is better; needed with file"
    )
    takes: Literal["values", "probabilities", "labels"] | None = Field(
        None, description="predictions that it takes; null: values, or probabilities for classes"
    )

    @model_validator(mode="after")
    def _parameters(self) -> "MetricMap":
        given = [key for key, value in self if value is not None and key in self.model_fields_set]
        if (self.name is None) == (self.file is None):
            raise ValueError(f"needs name or file, got {', '.join(given) or 'no key'}; give one")
        own = {"file", "function", "greater_is_better", "takes"}
        strange = [key for key in given if (key in own) == (self.file is None)]
        if strange:
            raise ValueError(
                f"{strange[0]} does not go with {'file' if self.file else 'name'}; leave it out"
            )
        if self.name is None:
            if self.greater_is_better is None:
                raise ValueError("greater_is_better is missing; set it to true or false")
            return self
        needed = PARAMETERS.get(self.name, {})
        for key in ("beta", "k"):
            if key in given and key not in needed:
                owners = [other for other, keys in PARAMETERS.items() if key in keys]
                raise ValueError(
                    f"{key} is a parameter of {' and '.join(owners)}, not of {self.name!r}; "
                    "leave it out"
                )
            if key not in given and key in needed:
                spelled = f"{{name: {self.name}, {key}: {needed[key]:g}}}"
                raise ValueError(f"{self.name} needs {key}; write metric: {spelled}")
        return self


def checked_metric(value: object, task: str, targets: Sequence[str]) -> Setting:
    """A metric as `scoring.metrics.metric_of` takes it; whether it fits the task is not checked.

    Args:
        task: what a function takes by default follows from it.
        targets: the target columns, in the order of which weights are returned.
    Raises:
        ValueError: a key is unknown or missing, or a value is not allowed.
    """
    checked = MetricMap.model_validate(value if isinstance(value, Mapping) else {"name": value})
    if checked.file is not None:
        by_task = "values" if task == "regression" else "probabilities"
        own = checked.model_dump(include={"file", "function", "greater_is_better"})
        return {**own, "takes": checked.takes or by_task}
    given = checked.model_dump(exclude_none=True, exclude={"function"})
    if "column_weights" in given:
        given["column_weights"] = _in_order(given["column_weights"], targets)
    return given if len(given) > 1 else str(given["name"])


def _in_order(weights: dict[str, float], targets: Sequence[str]) -> dict[str, float]:
    for name in (*weights, *targets):
        if name not in targets:
            raise ValueError(f"column_weights: {name!r} is no target; {choices(name, targets)}")
        if name not in weights:
            raise ValueError(f"column_weights: {name!r} of data.target is missing; give a weight")
    if min(weights.values()) < 0 or not any(weights.values()):
        raise ValueError(
            f"column_weights are numbers from 0, one of them greater, got {short(weights)}; "
            "correct them"
        )
    return {name: weights[name] for name in targets}


def name_of(metric: Setting) -> str:
    """The name by which `scoring.names` has its tasks."""
    if isinstance(metric, str):
        return metric
    return f"own_{metric['takes']}" if "file" in metric else str(metric["name"])


def has_weights(metric: Setting) -> bool:
    return not isinstance(metric, str) and "column_weights" in metric
