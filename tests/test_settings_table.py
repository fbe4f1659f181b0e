"""docs/settings.md is up to date with the fields of the config."""

from pipeline.settings.config import Config
from pipeline.settings.fine_tuning import Training
from pipeline.settings.listing import fields_of, settings_by_section
from pipeline.settings.metric import METRICS
from scripts.settings_table import PAGE, page, settings_of_members, table


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == page(), "stale; run python -m scripts.settings_table"


def test_every_setting_has_a_line_with_its_meaning():
    lines = page().splitlines()
    maps = [*map(fields_of, METRICS.values()), *settings_of_members().values()]
    for settings in [*settings_by_section().values(), *maps]:
        for key, field in settings.items():
            (line,) = {line for line in lines if line.startswith(f"| `{key}` | ")} & {
                *table(settings).splitlines(),
                *table(settings, of_members=True).splitlines(),
            }
            assert line.endswith(f" | {field.description} |")


def test_every_section_has_a_heading():
    headings = [line for line in page().splitlines() if line.startswith("## ")]
    sections = {"competition", "data", "folds", "training", "blend", "submit", "jobs", "members"}
    assert {heading.removeprefix("## ") for heading in headings} == sections
    assert sections - {"training"} <= {*Config.model_fields}


def test_a_classic_member_has_a_line_for_the_one_key_of_training_that_it_takes():
    classic = settings_of_members()["classic"]
    assert {*classic} & {*Training.model_fields} == {"class_weights"}


def test_a_default_is_spelled_as_in_the_yaml():
    told = page()
    assert "| `data.group` | `null` |" in told
    assert "| `data.text` | `[text]` |" in told
    assert "| `training.freeze_embeddings` | `true` |" in told
    assert "| `task` | needed |" in told
