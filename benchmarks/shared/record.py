"""Print a benchmark's table and write it to benchmarks/results/ with its provenance."""

import argparse
import platform
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from pipeline.files.provenance import provenance
from pipeline.files.writing import write_csv, write_json

RESULTS = Path("benchmarks") / "results"


def record(name: str, table: pd.DataFrame, arguments: argparse.Namespace, **facts: Any) -> None:
    """Print `table` and write results/<name>.csv and, with `facts` and provenance, <name>.json."""
    with pd.option_context("display.width", 200, "display.float_format", "{:,.4g}".format):
        print(table.to_string(index=False, na_rep=""))
    path = RESULTS / f"{name}.csv"
    write_csv(path, table)
    machine = {"cpu": cpu_name(), "cores": joblib.cpu_count(), "gpu": gpu_name()}
    origin = {"arguments": vars(arguments), **provenance(), **machine}
    write_json(path.with_suffix(".json"), {**facts, **origin})
    print(f"{path}, {path.with_suffix('.json')}: written")


def gpu_name() -> str | None:
    # imported here: torch takes seconds to load, and most benchmarks do not use it
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def cpu_name() -> str:
    """The processor as Linux calls it; elsewhere as Python does."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
