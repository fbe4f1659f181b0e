"""Make the tables of docs/*.md that follow from the code: `python -m scripts.reference`.

With `--list`, print what a YAML can name instead, a line each.
A table stands between `<!-- made by python -m scripts.reference: NAME -->` and `<!-- end -->`.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.scoring.names import PARAMETERS

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(?s)(<!-- made by python -m scripts.reference: (\w+) -->\n).*?(<!-- end -->)")
HIDDEN, LAYERS = 384, 6  # of MiniLM, to count the parameters that a pooling adds
FILLED_IN = {"vocab_size": 30_522, "special_ids": ()}  # options that training sets by itself


def registry(room: str, name: str) -> tuple[dict[str, Any], Path]:
    """The registry of this name in a room of pipeline/, and its file."""
    for path in sorted((ROOT / "pipeline" / room).rglob("*.py")):
        if re.search(rf"^{name}\b.* = \{{", path.read_text(encoding="utf-8"), re.M):
            file = path.relative_to(ROOT)
            return getattr(import_module(".".join(file.with_suffix("").parts)), name), file
    raise LookupError(f"pipeline/{room}: no registry named {name}")


def first_line(entry: Any) -> str:
    """First docstring line of the class or function that an entry of a registry stands for."""
    while not (inspect.isclass(entry) or (inspect.isfunction(entry) and entry.__doc__)):
        if isinstance(entry, partial):  # of a function that takes another function
            entry = next((a for a in entry.args if callable(a)), entry.func)
        elif inspect.isfunction(entry):  # made by a function from another function
            entry = next(v for v in inspect.getclosurevars(entry).nonlocals.values() if callable(v))
        else:
            held = [name for name in ("function", "model", "weigh") if hasattr(entry, name)]
            entry = getattr(entry, held[0]) if held else type(entry)
    return (inspect.getdoc(entry) or "").partition("\n")[0].replace("|", r"\|")


def options(entry: Any) -> str:
    """Keyword arguments with a default, as a YAML spells them."""
    arguments = inspect.signature(entry).parameters.values()
    own = [a for a in arguments if a.default is not a.empty and a.name not in FILLED_IN]
    return ", ".join(f"`{a.name}: {json.dumps(a.default)}`" for a in own) or "none"


def n_parameters(pooling: Any) -> str:
    known = FILLED_IN.keys() & inspect.signature(pooling).parameters
    built = pooling(HIDDEN, LAYERS, **{name: FILLED_IN[name] for name in known})
    return f"{sum(p.numel() for p in built.parameters()):,}"


COLUMNS: dict[str, Callable[[Any], str]] = {
    "what it is": first_line,
    "options": options,
    f"parameters added (hidden size {HIDDEN})": n_parameters,
    "tasks": lambda entry: ", ".join(entry.tasks) if len(entry.tasks) < 4 else "all",
    "metrics": lambda entry: ", ".join(entry.metrics),
    "better": lambda entry: "greater" if entry.greater_is_better else "smaller",
    "scores": lambda entry: "labels" if entry.decides else "values or probabilities",
    "formula": lambda entry: entry.about,
    "parameter": lambda entry: ", ".join(PARAMETERS.get(entry.name, ())) or "none",
}
# the room, the registry's name, the first words of the columns
TABLES = {
    "poolings": ("members", "POOLINGS", "what options parameters"),
    "losses": ("members", "LOSSES", "what tasks"),
    "models": ("members", "ESTIMATORS", "what options"),
    "blenders": ("ensemble", "BLENDERS", "what tasks"),
    "postprocessing": ("ensemble", "POSTPROCESSING", "what tasks metrics"),
    "metrics": ("scoring", "METRICS", "formula tasks scores better parameter"),
}


def made(name: str) -> str:
    """The table of that name, and a line that names the registry's file."""
    room, registry_name, words = TABLES[name]
    entries, file = registry(room, registry_name)
    columns = [column for column in COLUMNS if column.split()[0] in words.split()]
    rows = [["name", *columns], ["---"] * (1 + len(columns))]
    rows += [[f"`{key}`", *(COLUMNS[c](entry) for c in columns)] for key, entry in entries.items()]
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join([*lines, f"\nThe registry is in [{file}](../{file}).\n"])


def renewed(page: str) -> str:
    """The page with every marked block made again."""
    return BLOCK.sub(lambda block: block[1] + made(block[2]) + block[3], page)


def listing() -> str:
    """The names in every registry, a line each: what it is, or for a metric how it scores."""
    lines = []
    for title, (room, registry_name, words) in TABLES.items():
        entries, _ = registry(room, registry_name)
        lines += ["", title]
        for key, entry in entries.items():
            about = first_line(entry)
            if "formula" in words:
                cells = [COLUMNS[column](entry) for column in ("formula", "tasks", "better")]
                about = "{} ({}); {} is better.".format(*cells)
            lines.append(f"  {key:<16} {about}")
    return "\n".join(lines[1:])


def main() -> None:
    if "--list" in sys.argv[1:]:
        print(listing())
        return
    for path in sorted((ROOT / "docs").glob("*.md")):
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"docs: {', '.join(TABLES)} are up to date")


if __name__ == "__main__":
    main()
