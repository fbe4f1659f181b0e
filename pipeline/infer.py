"""Predict new test rows with a saved blend and write the submission, from models/ alone.

Reads models/<c>/, the test table and the sample submission: no training table, no folds, no other
predictions. Writes submissions/<c>/<predictor>.csv with a .json of its provenance, and, for the
chosen blend, submissions/<c>/submission.csv. This is what a code competition runs. Of several
predictors the mean is written, by --weights if given.
"""

from collections.abc import Sequence

from pipeline.competition.labels import read_form
from pipeline.competition.rows import read_test
from pipeline.competition.submission import submission
from pipeline.files.messages import listed
from pipeline.files.provenance import provenance
from pipeline.members.averaging import predict_members
from pipeline.members.units import models_hash, units_of
from pipeline.predictors.saved_blends import read_saved_blends
from pipeline.predictors.submitted import Combination, write_submission
from pipeline.scoring.tasks import Floats
from pipeline.settings.command import stage


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv, "predictor", "weights") as (config, flags):
        blends = read_saved_blends(config)
        combination = Combination.of(flags.predictor or [blends.chosen], flags.weights)
        needed = dict.fromkeys(m for name in combination.weights for m in blends.members_of(name))
        members = {m: units_of(config.competition, m) for m in needed}
        for member, units in members.items():
            if models_hash(units) != blends.models[member]:
                raise ValueError(
                    f"models/{config.competition}/{member}: trained again since it was blended; "
                    "run predict and blend again"
                )
        test = read_test(config.data)
        form = read_form(config, blends.columns, blends.classes, test.ids)
        name = combination.name
        print(f"infer: {len(test.ids)} test rows, {name} of {', '.join(members)}")
        predictions: dict[str, Floats] = {}
        predict_members(members, test, config.jobs, predictions.__setitem__)
        blends_of = {n: blends.apply(n, predictions) for n in combination.weights}
        blend = combination.mean(blends_of, config.task)
        table, notes = submission(form, blend, test, config.data, blends.columns, blends.y)
        models = {member: blends.models[member] for member in members}
        made_from = {"models": models, "test rows": test.sha256}
        record = {
            "predictor": name,
            "weights": combination.weights,
            "config": config.model_dump(by_alias=True),
            **provenance(),
        }
        path = write_submission(
            config.competition, name, table, made_from, record, is_chosen=flags.predictor is None
        )
        rows = f"{len(table)} rows of {listed(form.sample.header)}"
        print(*notes, f"{path}: {rows}, from {name}", sep="\n")


if __name__ == "__main__":
    main()
