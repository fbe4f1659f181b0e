"""Predict the test rows with every trained member, from models/ alone.

Reads models/<c>/ and the test table, never the training table; writes oof/<c>/<member>/test.csv.
"""

from collections.abc import Sequence

from tqdm import tqdm

from pipeline.competition.rows import read_test
from pipeline.files.paths import predictor_dir
from pipeline.files.stamp import is_current
from pipeline.members.averaging import predict_members
from pipeline.members.units import models_hash, read_run, units_of, without_incomplete
from pipeline.predictors.predictions import write_predictions
from pipeline.scoring.tasks import Floats
from pipeline.settings.command import stage


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv) as (config, _):
        config = without_incomplete(config)
        if not config.members:
            print("predict: no members, so there is nothing to predict")
            return
        test = read_test(config.data)
        test_rows = test.sha256
        members = {m.name: units_of(config.competition, m.name) for m in config.members}
        folders = {name: predictor_dir(config.competition, name) for name in members}
        made_from = {
            name: {"models": models_hash(units), "test rows": test_rows}
            for name, units in members.items()
        }
        todo = {
            name: units
            for name, units in members.items()
            if not is_current(folders[name] / "test.csv", made_from[name])
        }
        print(f"predict: {len(test.ids)} test rows, {len(todo)} of {len(members)} members to do")

        def write(name: str, predictions: Floats) -> None:
            columns, n_folds = read_run(todo[name][0])["columns"], len(todo[name])
            rows = (test.ids, config.data.id_name, columns)
            write_predictions(folders[name], "test", *rows, predictions, made_from[name])
            tqdm.write(f"{folders[name]}/test.csv: the mean of {n_folds} folds")

        if todo:
            predict_members(todo, test, config.jobs, write)


if __name__ == "__main__":
    main()
