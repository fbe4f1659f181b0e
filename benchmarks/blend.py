"""Our chosen blend against other packages' on synthetic stacks, scored on held-out rows.

    python -m benchmarks.blend --peer_python PATH         about 2 hours on two free cores
    python -m benchmarks.blend --rows 300 --seeds 2       a smoke test

18 settings: 1,000, 5,000 and 200,000 fit rows x regression (RMSE), binary and 10 classes (log loss)
x calibrated and miscalibrated members (benchmarks/shared/stacks.py). Each is measured on 30 seeds,
3 at 200,000 rows, with 8 and 40 members in turn. As many rows are held out as fitted, but at least
20,000, so that their noise hides less.

- chosen: the blend that the blend stage would submit. The default `blend.methods` and their
  post-processing are cross-fitted on five folds of the fit rows, the leaderboard chooses, and the
  chosen blend is fitted on all fit rows. Beyond 20,000 rows post-processing is left out: it takes
  three times the fits.
- chosen_by_score: the best cross-fitted score, without the rule about intervals.
- blend_*: our blenders.
- single: the member with the best score on the fit rows.
- peer_*: other packages on the same arrays (benchmarks/shared/blend_peers.py), run by --peer_python
  because they pin versions. Peers that are not installed there, or took longer than --peer_seconds
  on one of a setting's stacks, are left out and listed. The best peer is picked with hindsight.

A setting is met if the chosen blend is worse neither than the best peer nor than the plain mean
beyond the paired 95 % interval over seeds (Student's t), rounding aside.

Each stack's outcome is kept in --cache, so a stopped run resumes. Outcomes of older code are used
again too: empty the cache after a change. Writes benchmarks/results/<name>.csv, for each setting a
line for all seeds and one for each number of members; <name>_losses.csv, all mean losses; and
<name>.json.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from benchmarks.shared.blend_peers import Peers
from benchmarks.shared.blend_stack import MEMBERS, METRIC, PEERS, Setting, measure
from benchmarks.shared.command import parser_of, run_pieces
from benchmarks.shared.record import RESULTS, record
from pipeline.files.reading import read_json
from pipeline.files.writing import write_csv, write_json
from pipeline.scoring.tasks import Floats
from pipeline.settings.blend import Blend

WANTED = 16  # of 18 settings
ROUNDING = 1e-6  # of a loss: where two solvers of one problem stop
SEEDS_A_PIECE = 3  # a piece starts one process of peers


def measure_seeds(setting: Setting, seeds: Sequence[int], arguments: argparse.Namespace) -> None:
    """Measure each seed into the cache. Workers run this."""
    with Peers(arguments.peer_python) as peers:
        for seed in seeds:
            n_held_out = max(setting.n_rows, arguments.held_out)
            to_peers = {"names": arguments.peers, "limit": arguments.peer_seconds}
            outcome = measure(setting, seed, n_held_out, peers, **to_peers)
            write_json(cached(arguments.cache, setting, seed), outcome)


def cached(folder: Path, setting: Setting, seed: int) -> Path:
    return Path(folder, str(setting), f"{seed}.json")


def paired_interval(a: Floats, b: Floats) -> tuple[float, float, float]:
    """Mean of a - b over seeds, low, high; the last two NaN for one seed."""
    difference = a - b
    if len(difference) < 2:
        return float(difference.mean()), np.nan, np.nan
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    half = float(student.ppf(0.975, len(difference) - 1) * error)
    return float(difference.mean()), difference.mean() - half, difference.mean() + half


def losses_of(outcomes: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A line per stack, a column per blend; blends that lack a stack are left out."""
    return pd.DataFrame([outcome["loss"] for outcome in outcomes]).dropna(axis=1)


def compare(setting: Setting, members: str, outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A setting's line of the table; `met` is None for one seed, which has no interval."""
    losses = losses_of(outcomes)
    means = {str(name): float(mean) for name, mean in losses.mean().items()}
    ours, peer = (
        min((name for name in means if name.startswith(kind)), key=means.__getitem__)
        for kind in ("blend_", "peer_")
    )
    chosen = losses["chosen"].to_numpy()
    line: dict[str, Any] = {
        "task": setting.task,
        "rows": setting.n_rows,
        "calibrated": setting.calibrated,
        "members": members,
        "seeds": len(outcomes),
        "chosen": means["chosen"],
        "by_score": means["chosen_by_score"],
        "mean": means["blend_mean"],
        "single": means["single"],
        "best_ours": ours.removeprefix("blend_"),
        "ours": means[ours],
        "best_peer": peer.removeprefix("peer_"),
        "peer": means[peer],
    }
    lows = []
    for name, base in (("over_peer", peer), ("over_mean", "blend_mean")):
        difference, low, high = paired_interval(chosen, losses[base].to_numpy())
        line |= {name: difference, f"{name}_low": low, f"{name}_high": high}
        lows.append(low)
    tolerance = ROUNDING * means["chosen"]
    line["met"] = None if np.isnan(lows).any() else bool(max(lows) <= tolerance)
    names = Counter(outcome["chosen"].removeprefix("blend_") for outcome in outcomes)
    line["chose"] = " ".join(f"{name}:{times}" for name, times in names.most_common())
    if outcomes[0]["auc"]:
        aucs = pd.DataFrame([outcome["auc"] for outcome in outcomes]).mean()
        line |= {"auc_chosen": aucs["chosen"], "auc_mean": aucs["blend_mean"]}
        line |= {"auc_peer": aucs[peer]}
    return line


def by_members(outcomes: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """All outcomes of a setting, and those of each number of members."""
    parts = {"all": list(outcomes)}
    for n_members in sorted(MEMBERS):
        parts[str(n_members)] = [o for o in outcomes if o["members"] == n_members]
    return parts


def long_table(outcomes_of: dict[Setting, list[dict[str, Any]]]) -> pd.DataFrame:
    """Mean loss, AUC and seconds of every blend, for each setting and number of members."""
    lines = []
    for setting, outcomes in outcomes_of.items():
        for members, part in by_members(outcomes).items():
            if members == "all":
                continue
            measures = {
                what: pd.DataFrame([o[what] for o in part]) for what in ("loss", "auc", "seconds")
            }
            for name in measures["loss"].columns:
                line: dict[str, Any] = {"setting": str(setting), "members": members, "blend": name}
                line["stacks"] = measures["loss"][name].count()
                for what, table in measures.items():
                    line[what] = float(f"{table[name].mean():.6g}") if name in table else None
                lines.append(line)
    return pd.DataFrame(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000, 5_000, 200_000])
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[30, 30, 3],
        help="for each of --rows, at least 2 each",
    )
    parser.add_argument("--tasks", nargs="+", choices=list(METRIC), default=list(METRIC))
    parser.add_argument("--held_out", type=int, default=20_000, help="rows, at least")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peer_python", default=sys.executable, help="that has the peers")
    parser.add_argument("--peer_seconds", type=float, default=60, help="a peer's limit on a stack")
    parser.add_argument("--n_jobs", type=int, help="pieces side by side; all cores if not given")
    parser.add_argument("--cache", default="reports/blend_benchmark", help="folder of outcomes")
    parser.add_argument("--name", default="blend", help="of the results' files")
    arguments = parser.parse_args(argv)
    if len(arguments.rows) != len(arguments.seeds):
        parser.error(f"{len(arguments.rows)} --rows and {len(arguments.seeds)} --seeds")

    seeds = {
        Setting(task, n_rows, calibrated): range(n_seeds)
        for n_rows, n_seeds in zip(arguments.rows, arguments.seeds, strict=True)
        for task in arguments.tasks
        for calibrated in (True, False)
    }
    pieces = []
    for setting, wanted in seeds.items():
        missing = [s for s in wanted if not cached(arguments.cache, setting, s).is_file()]
        for start in range(0, len(missing), SEEDS_A_PIECE):
            piece = missing[start : start + SEEDS_A_PIECE]
            pieces.append((f"{setting}, seeds {piece}", (setting, piece, arguments)))
    if pieces:
        run_pieces(measure_seeds, pieces, arguments.n_jobs, "blend")
    outcomes_of = {
        setting: [read_json(cached(arguments.cache, setting, seed)) for seed in wanted]
        for setting, wanted in seeds.items()
    }
    table = pd.DataFrame(
        compare(setting, members, part)
        for setting, outcomes in outcomes_of.items()
        for members, part in by_members(outcomes).items()
        if part
    )
    whole = table[table["members"] == "all"]
    outcomes = [outcome for setting in seeds for outcome in outcomes_of[setting]]
    n_met = int(whole["met"].eq(True).sum())
    record(
        arguments.name,
        table,
        arguments,
        settings=len(whole),
        met=n_met,
        peers=outcomes[0]["peers"],
        not_finished=Counter(
            f"{o['setting']}, {o['members']} members, {name}: {remark}"
            for o in outcomes
            for name, remark in o["remarks"].items()
        ),
        chosen_among=Blend().methods,
        commits_of_outcomes=sorted({str(o["commit"]) for o in outcomes}),
    )
    write_csv(RESULTS / f"{arguments.name}_losses.csv", long_table(outcomes_of))
    print("peers:", ", ".join(sorted(set(outcomes[0]["peers"].values()))))
    verdict = "met" if n_met >= WANTED else "MISSED" if len(whole) == 18 else "not all were run"
    print(f"{n_met} of {len(whole)} settings met, wanted {WANTED} of 18: {verdict}")


if __name__ == "__main__":
    main()
