"""Make docs/settings.md from the fields of the config: `python -m scripts.settings_table`."""

from collections.abc import Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from pipeline.settings.fine_tuning import Training
from pipeline.settings.listing import default_of, fields_of, settings_by_section
from pipeline.settings.members import KINDS
from pipeline.settings.metric import METRICS
from pipeline.settings.quick import ABOUT

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

HEAD = f"""\
# Settings

<!-- made by python -m scripts.settings_table; do not edit -->

Every setting of a competition's YAML. On the command line of every stage a setting is typed as
`--training.epochs 3`, a list as `--blend.methods mean convex`, and a map as
`--training.lora '{{rank: 8}}'`. What is typed replaces what the YAML says. `needed` means that
there is no default.

Two words of the command line are not in the YAML:

- `--members NAME ...` keeps only these members.
- `--quick` is {ABOUT}.

"""
METRIC_MAPS = (
    "A metric with a parameter or with weights of columns, `{name: NAME, ...}`:",
    "A function of your own, `{file: FILE, greater_is_better: true, ...}`"
    " ([metrics.md](metrics.md)):",
)
MEMBERS = """\
## members

A list of models to train, in the YAML only: one entry each, such as `{pooling: mean}` or
`{model: tfidf_linear}`. None is needed where `blend.external` names predictors. What an entry
leaves out, it takes from the settings above. With `seeds: 3` an entry is three members, NAME-s1 to
NAME-s3.
"""
ALSO_TRAINING = "\nAn entry may also set any key of [training](#training) for itself.\n"
FILLED_IN = {"name", "seed", "template", "backbone", "class_weights"}  # of members


def table(settings: Mapping[str, FieldInfo], *, of_members: bool = False) -> str:
    """A table of settings: name, default, meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for key, field in settings.items():
        default = "inherited" if of_members and key in FILLED_IN else default_of(field)
        shown = default if default in ("needed", "inherited") else f"`{default}`"
        meaning = (field.description or "").replace("|", r"\|")
        rows.append(f"| `{key}` | {shown} | {meaning} |")
    return "\n".join(rows) + "\n"


def settings_of_members() -> dict[str, dict[str, FieldInfo]]:
    """The settings of each kind of member, without those of `training` if it has them all."""
    return {
        kind: {
            key: field
            for key, field in fields_of(section).items()
            if not (issubclass(section, Training) and key in Training.model_fields)
        }
        for kind, section in KINDS.items()
    }


def page() -> str:
    """The whole of docs/settings.md."""
    parts = [
        f"## {section or 'competition'}\n\n{table(settings)}"
        for section, settings in settings_by_section().items()
    ]
    maps = zip(METRIC_MAPS, METRICS.values(), strict=True)
    of_maps = "\n".join(f"{about}\n\n{table(fields_of(metric))}" for about, metric in maps)
    parts.insert(1, f"### metric, as a map\n\n{of_maps}")
    members = MEMBERS
    for kind, settings in settings_of_members().items():
        members += f"\n### {kind}\n\n{table(settings, of_members=True)}"
        if "pooling" in settings:
            members += ALSO_TRAINING
    return HEAD + "\n".join([*parts, members])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"docs/{PAGE.name}: written")


if __name__ == "__main__":
    main()
