"""Predict new test rows with a saved blend and write the submission, from models/ alone.

Reads models/<c>/, the test table and the sample submission: no training table, no folds, no other
predictions. Writes submissions/<c>/<predictor>.csv with a .json of its provenance, and, for the
chosen blend, submissions/<c>/submission.csv. This is what a code competition runs.
"""

from collections.abc import Sequence

from pipeline.competition.labels import read_form
from pipeline.competition.rows import read_test
from pipeline.competition.submission import submission
from pipeline.files.provenance import provenance
from pipeline.members.averaging import predict_members
from pipeline.members.units import models_hash, units_of
from pipeline.predictors.history import write_submission
from pipeline.predictors.saved_blends import read_saved_blends
from pipeline.scoring.tasks import Floats
from pipeline.settings.command import stage


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv, "predictor") as (config, flags):
        blends = read_saved_blends(config)
        name = flags.predictor or blends.chosen
        members = {m: units_of(config.competition, m) for m in blends.members_of(name)}
        for member, units in members.items():
            if models_hash(units) != blends.models[member]:
                raise ValueError(
                    f"models/{config.competition}/{member}: trained again since it was blended; "
                    "run predict and blend again"
                )
        test = read_test(config.data)
        form = read_form(config, blends.columns, blends.classes, test.ids)
        print(f"infer: {len(test.ids)} test rows, {name} of {', '.join(members)}")
        predictions: dict[str, Floats] = {}
        predict_members(members, test.texts, config.jobs, predictions.__setitem__)
        blend = blends.apply(name, predictions)
        table, notes = submission(form, blend, test, config.data, blends.columns, blends.y)
        models = {member: blends.models[member] for member in members}
        made_from = {"models": models, "test rows": test.sha256}
        record = {"predictor": name, "config": config.model_dump(by_alias=True), **provenance()}
        names = (config.competition, name)
        is_chosen = flags.predictor is None
        path = write_submission(*names, table, made_from, record, is_chosen=is_chosen)
        rows = f"{len(table)} rows of {', '.join(form.sample.header)}"
        print(*notes, f"{path}: {rows}, from {name}", sep="\n")


if __name__ == "__main__":
    main()
