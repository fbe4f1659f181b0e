"""Classic members; their inputs are texts or, with a backbone, embeddings, and features.

A fitted model is a joblib file, which can run code when it is loaded: it is loaded only if its hash
is the one in `run.json`.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import joblib
import numpy as np
from numpy.typing import NDArray

from pipeline.competition.features import NO_COLUMNS, Columns, rows_of
from pipeline.files.hashes import file_sha256
from pipeline.files.reading import decoding
from pipeline.members.classic.estimators import ESTIMATORS, check_options, options_of
from pipeline.members.classic.heads import Estimator
from pipeline.members.sentences import recipe_of
from pipeline.members.training_table import UnitToTrain
from pipeline.members.units import Encoding, Texts, Unit, scaling_of, unchanged
from pipeline.scoring.tasks import Floats, Scaling
from pipeline.settings.config import Jobs
from pipeline.settings.members import ClassicMember
from pipeline.settings.template import BREAK

MODEL = "model.joblib"


class Inputs(NamedTuple):
    """Rows as a model takes them: texts, or embeddings (n, P, H), and columns of features."""

    texts: Any
    features: Columns

    def take(self, rows: NDArray[np.int64]) -> "Inputs":
        """Some of the rows."""
        is_array = isinstance(self.texts, np.ndarray)
        texts = self.texts[rows] if is_array else [self.texts[row] for row in rows]
        return Inputs(texts, rows_of(self.features, rows))


class Classic:
    """See `members.kinds.Kind`."""

    def check(self, member: ClassicMember, backbone: Path | None) -> None:
        check_options(member.model, member.options)
        if backbone is not None:
            recipe_of(backbone)

    def encoding(self, member: ClassicMember, backbone: Path | None) -> Encoding | None:
        return Encoding(backbone, options_of(member)["max_length"]) if backbone else None

    def inputs(
        self,
        encoding: Encoding | None,
        texts: Texts,
        jobs: Jobs | None,
        features: Columns = NO_COLUMNS,
    ) -> Inputs:
        if encoding is None:
            plain = [tuple(text.replace(BREAK, "\n") for text in row) for row in texts]
            return Inputs(plain, features)
        # imported here: torch takes seconds to load, and other models do not need it
        from pipeline.members.bert.embeddings import embed, embed_texts

        how = (encoding.backbone, encoding.max_length, texts)
        vectors = embed_texts(*how, jobs) if jobs else embed(*how)
        return Inputs(vectors, features)

    def warning(self, member: ClassicMember, inputs: Inputs) -> str | None:
        n, many = len(inputs.texts), ESTIMATORS[member.model].many_rows
        if n <= many:
            return None
        return (
            f"{member.model} takes time that grows with the square of the rows; {n:,} are "
            f"about {(n / many) ** 2:.0f} times as slow as {many:,}, which take minutes a unit"
        )

    def fit(
        self, unit: UnitToTrain, inputs: Inputs, folder: Path
    ) -> tuple[Floats, dict[str, object]]:
        start, table, member = time.perf_counter(), unit.table, cast(ClassicMember, unit.member)
        options = options_of(member)
        # a pickle holds equal names once if they are one object, which a worker's copy is not
        task, n_columns = sys.intern(table.task), len(table.train.columns)
        model = ESTIMATORS[member.model](
            task=task, n_columns=n_columns, seed=member.seed, **options
        )
        scaling, y = unit.scaling, table.train.y[unit.training]
        y = scaling.standardise(y) if scaling else y
        texts, features = inputs.take(unit.training)
        model.fit(texts, y, features, unit.label_weights)
        seconds = round(time.perf_counter() - start, 3)
        joblib.dump(model, folder / MODEL, compress=3)
        return _predict(model, scaling, inputs.take(unit.held_out)), {
            "weights_sha256": file_sha256(folder / MODEL),
            "model": member.model,
            "options": options,
            "seed": member.seed,
            "seconds": seconds,
        }

    def load(self, unit: Unit) -> Callable[[Any], Floats]:
        path = unchanged(unit, MODEL, "weights_sha256")
        with decoding(path, unit.remedy):  # of other versions
            return partial(_predict, joblib.load(path), scaling_of(unit))


def _predict(model: Estimator, scaling: Scaling | None, inputs: Inputs) -> Floats:
    if not len(inputs.texts):
        return np.empty((0, model.n_columns))
    predictions = model.predict(*inputs)
    return scaling.restore(predictions) if scaling else predictions
