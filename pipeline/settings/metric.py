"""The setting `metric`: a name, or a map: a name and its parameters, or a function in a file."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, TypeAdapter, model_validator

from pipeline.files.messages import short
from pipeline.files.suggestions import choices, folded
from pipeline.scoring.names import PARAMETERS, TASKS_OF_METRIC, Setting
from pipeline.settings.section import Real, Section, Spelled, Whole


def _our_spelling(metric: str) -> str:
    """F1-Macro is f1_macro."""
    return {folded(name): name for name in TASKS_OF_METRIC}.get(folded(metric), metric)


class NamedMetric(Section):
    """metric, by its name"""

    name: Annotated[Spelled, AfterValidator(_our_spelling)] = Field(
        description="name of the metric"
    )
    beta: Real | None = Field(None, gt=0, le=1000, description="of fbeta: the weight of recall")
    k: Whole | None = Field(None, ge=1, description="of map_at_k and top_k_accuracy: answers a row")
    column_weights: dict[Spelled, Real] | None = Field(
        None, description="weight of each of several targets or labels in the mean over them"
    )

    @model_validator(mode="after")
    def _parameters(self) -> "NamedMetric":
        needed = PARAMETERS.get(self.name, {})
        for key, value in (("beta", self.beta), ("k", self.k)):
            if value is not None and key not in needed:
                owners = [other for other, keys in PARAMETERS.items() if key in keys]
                raise ValueError(
                    f"{key} is a parameter of {' and '.join(owners)}, not of {self.name!r}; "
                    "leave it out"
                )
            if value is None and key in needed:
                spelled = f"{{name: {self.name}, {key}: {needed[key]:g}}}"
                raise ValueError(f"{self.name} needs {key}; write metric: {spelled}")
        return self


class OwnMetric(Section):
    """metric, a function in a file"""

    file: str = Field(description="Python file with a metric of your own")
    function: str = Field("score", description="its function, which takes targets and predictions")
    greater_is_better: bool = Field(description="whether a greater score is better")
    takes: Literal["values", "probabilities", "labels"] | None = Field(
        None, description="predictions that it takes; null: values, or probabilities for classes"
    )


# by pydantic's tag, which is part of the place in its errors
METRICS: dict[str, type[NamedMetric] | type[OwnMetric]] = {"by name": NamedMetric, "own": OwnMetric}
ANY_METRIC: TypeAdapter[NamedMetric | OwnMetric] = TypeAdapter(
    Annotated[
        Annotated[NamedMetric, Tag("by name")] | Annotated[OwnMetric, Tag("own")],
        Discriminator(lambda metric: "own" if "file" in metric else "by name"),
    ]
)


def checked_metric(value: object, task: str, targets: Sequence[str]) -> Setting:
    """A metric as `scoring.metrics.metric_of` takes it; whether it fits the task is not checked.

    Args:
        task: what a function takes by default follows from it.
        targets: the target columns, in the order of which weights are returned.
    Raises:
        ValueError: a key is unknown or missing, or a value is not allowed.
    """
    metric = ANY_METRIC.validate_python(value if isinstance(value, Mapping) else {"name": value})
    given = metric.model_dump(exclude_none=True)
    if isinstance(metric, OwnMetric):
        by_task = "values" if task == "regression" else "probabilities"
        return {**given, "takes": metric.takes or by_task}
    if "column_weights" in given:
        given["column_weights"] = _in_order(given["column_weights"], targets)
    return given if len(given) > 1 else metric.name


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
