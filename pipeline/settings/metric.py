"""The setting `metric`: a name, or a map of a name and its parameters."""

from collections.abc import Mapping, Sequence

from pydantic import Field, model_validator

from pipeline.files.messages import short
from pipeline.files.suggestions import folded
from pipeline.scoring.names import PARAMETERS, TASKS_OF_METRIC, Setting
from pipeline.settings.section import Real, Section, Spelled, Whole, as_spelled


def _our_spelling(metric: str) -> str:
    """F1-Macro is f1_macro."""
    return {folded(name): name for name in TASKS_OF_METRIC}.get(folded(metric), metric)


class MetricMap(Section):
    """metric"""

    name: Spelled = Field(description="name of the metric")
    beta: Real | None = Field(None, gt=0, le=1000, description="of fbeta: the weight of recall")
    k: Whole | None = Field(None, ge=1, description="of map_at_k and top_k_accuracy: answers a row")
    column_weights: dict[Spelled, Real] | None = Field(
        None, description="weight of each of several targets or labels in the mean over them"
    )

    @model_validator(mode="after")
    def _parameters(self) -> "MetricMap":
        name = _our_spelling(self.name)
        needed = PARAMETERS.get(name, {})
        for key in ("beta", "k"):
            given = getattr(self, key) is not None
            if given and key not in needed:
                owners = [other for other, keys in PARAMETERS.items() if key in keys]
                raise ValueError(
                    f"{key} is a parameter of {' and '.join(owners)}, not of {short(self.name)}; "
                    "leave it out"
                )
            if not given and key in needed:
                raise ValueError(f"{name} {_needs(name)}")
        return self


def _needs(name: str) -> str:
    ((key, value),) = PARAMETERS[name].items()
    return f"needs {key}; write metric: {{name: {name}, {key}: {value:g}}}"


def checked_metric(value: object, targets: Sequence[str]) -> Setting:
    """A metric as `scoring.metrics.metric_of` takes it; whether it fits the task is not checked.

    Args:
        targets: the target columns, in the order of which weights are returned.
    Raises:
        ValueError: a key is unknown or missing, or a value is not allowed.
    """
    if not isinstance(value, Mapping):
        value = as_spelled(value)
        if not isinstance(value, str):
            raise ValueError(f"is a name or a map, such as {{name: rmse}}, got {short(value)}")
        name = _our_spelling(value)
        if name in PARAMETERS:
            raise ValueError(f"{name} {_needs(name)}")
        return name
    given = MetricMap.model_validate(value).model_dump(exclude_none=True)
    given["name"] = _our_spelling(given["name"])
    if "column_weights" in given:
        given["column_weights"] = _in_order(given["column_weights"], targets)
    return given if len(given) > 1 else str(given["name"])


def _in_order(weights: dict[str, float], targets: Sequence[str]) -> dict[str, float]:
    other = sorted(set(weights) ^ set(targets))
    if other:
        known = "is no target" if other[0] in weights else "is missing"
        raise ValueError(
            f"column_weights: {other[0]!r} {known}; give each of data.target a weight: "
            f"{', '.join(targets)}"
        )
    if min(weights.values()) < 0 or not any(weights.values()):
        raise ValueError(
            f"column_weights are numbers from 0, one of them greater, got {short(weights)}; "
            "correct them"
        )
    return {name: weights[name] for name in targets}


def name_of(metric: Setting) -> str:
    return metric if isinstance(metric, str) else str(metric["name"])


def has_weights(metric: Setting) -> bool:
    return not isinstance(metric, str) and "column_weights" in metric
