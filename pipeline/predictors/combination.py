"""Several predictors as one, with weights that somebody chose: their weighted mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.files.hashes import sha256_of_texts
from pipeline.scoring.tasks import Floats, as_probabilities
from pipeline.settings.section import LONGEST_NAME


@dataclass(frozen=True)
class Combination:
    """Predictors with weights that sum to 1; a single predictor stays as it is."""

    weights: Mapping[str, float]

    @staticmethod
    def of(names: Sequence[str], weights: Sequence[float] | None) -> "Combination":
        """The combination that `--predictor` and `--weights` ask for; by default equal weights.

        Raises:
            ValueError: a name is repeated, or the numbers of names and weights differ.
        """
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"--predictor: {name!r} is named twice; give it one weight")
        if weights is None:
            weights = [1.0] * len(names)
        if len(weights) != len(names):
            raise ValueError(
                f"--weights: {len(weights)} for {len(names)} names; give one each, or "
                "leave --weights out for equal ones"
            )
        shares = np.divide(weights, np.max(weights))  # first, so that no sum overflows
        return Combination(dict(zip(names, (shares / shares.sum()).tolist(), strict=True)))

    @property
    def name(self) -> str:
        """The predictors as a file's name, with their weights unless they are equal.

        No predictor has this name, as theirs are without + and @.
        """
        is_equal = len(set(self.weights.values())) == 1
        parts = [name if is_equal else f"{name}@{w:.3g}" for name, w in self.weights.items()]
        name = "+".join(parts)
        if len(name) <= LONGEST_NAME:
            return name
        return f"{len(parts)}+predictors@{sha256_of_texts(parts)[:12]}"

    def mean(self, predictions: Mapping[str, Floats], task: str) -> Floats:
        """The weighted mean (n, c) of the predictors, on the prediction scale."""
        parts = [weight * predictions[name] for name, weight in self.weights.items()]
        return as_probabilities(task, np.sum(parts, axis=0))
