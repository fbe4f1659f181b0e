"""Templates: how the columns of a row become one text, such as `{title}{sep}{body} ({year})`."""

import re
from collections.abc import Sequence

from pipeline.files.messages import short
from pipeline.files.suggestions import choices

SEP = "sep"
BREAK = "\0"  # stands for {sep} in a text; no cell holds it, as tables with a NUL are refused
_BRACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

Texts = Sequence[tuple[str, ...]]


def check_template(where: str, template: str, names: Sequence[str]) -> None:
    """Raise a ValueError about `where` if a brace names no column, or no column is named."""
    named = []
    for brace in _BRACE.finditer(template):
        name = brace[1]
        if brace[0] in ("{", "}"):
            raise ValueError(
                f"{where}: {short(template)} has a lone {brace[0]!r} at character "
                f"{brace.start() + 1}; {{NAME}} is a column or {{{SEP}}}, "
                f"and {brace[0] * 2} is a brace"
            )
        if name is not None and name not in (SEP, *names):
            raise ValueError(
                f"{where}: {{{name}}} names no column of data.text or data.features; "
                + choices(name, [*names, SEP])
            )
        named.append(name)
    if SEP in names:
        raise ValueError(
            f"{where}: {{{SEP}}} is the separator, not the column {SEP!r}; rename the column"
        )
    if set(named) <= {None, SEP}:
        raise ValueError(
            f"{where}: {short(template)} names no column; write {{NAME}} for each of "
            f"{', '.join(names)}"
        )


def n_parts(template: str | None) -> int:
    """Parts that {sep} makes of a text; without a template 2, the texts of a pair."""
    if template is None:
        return 2
    return 1 + sum(brace[1] == SEP for brace in _BRACE.finditer(template))


def filled(template: str, names: Sequence[str], rows: Texts) -> Texts:
    """(n,) the one text of each row, with `BREAK` for {sep}; raises as `check_template`."""
    check_template("template", template, names)
    at = {name: f"{{{position}}}" for position, name in enumerate(names)} | {SEP: BREAK}
    pattern = _BRACE.sub(lambda brace: brace[0] if brace[1] is None else at[brace[1]], template)
    return [(pattern.format(*cells),) for cells in rows]
