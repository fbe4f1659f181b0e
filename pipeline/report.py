"""Report a competition's predictors and blends, as a page and as a JSON of its numbers.

Reads the tables, folds/<c>.csv, oof/<c>/ with its leaderboard, the run.json and train.log of the
units in models/<c>/, and solution.csv beside the test table where there is one; writes
reports/<c>/{index.html,index.json,summary.json,worst_rows.csv}.
"""

from collections.abc import Sequence

from pipeline.files.hashes import file_sha256
from pipeline.files.paths import report_path
from pipeline.files.stamp import is_current, read_stamp, written_with_stamp
from pipeline.files.writing import write_csv, write_json
from pipeline.members.units import without_incomplete
from pipeline.reporting.evidence import made_from, read_evidence
from pipeline.reporting.numbers import TO_ASCII
from pipeline.settings.command import stage


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv) as (config, _):
        config = without_incomplete(config)
        path = report_path(config.competition)
        numbers, rows = path.with_name("summary.json"), path.with_name("worst_rows.csv")
        inputs = made_from(config)
        beside = {p.name: file_sha256(p) for p in (numbers, rows) if p.is_file()}
        stamp = read_stamp(path)
        if is_current(path, inputs) and stamp and stamp.about["beside"] == beside:
            print(f"{path}: up to date")
            return
        evidence = read_evidence(config)
        # imported here: matplotlib takes a second to load, in vain if the report is up to date
        from pipeline.reporting.examples import worst_rows
        from pipeline.reporting.page import page
        from pipeline.reporting.summary import cost_of_own, summarise

        cost = cost_of_own(evidence)
        if cost is not None:
            print(f"report: {cost}", flush=True)
        summary = summarise(evidence)
        beside = {
            numbers.name: write_json(numbers, summary),
            rows.name: write_csv(rows, worst_rows(evidence)),
        }
        with written_with_stamp(path, inputs, beside=beside) as temporary:
            temporary.write_text(page(summary), encoding="utf-8")
        print(f"{summary['verdict'].translate(TO_ASCII)}\n{path}")


if __name__ == "__main__":
    main()
