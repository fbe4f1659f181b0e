"""`python -m pipeline.clean` lists, and with --remove removes, what no config names."""

from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import write_competition

from pipeline import clean
from pipeline.files.writing import write_json

MEMBERS = [{"pooling": "mean"}, {"model": "tfidf_linear"}]


@pytest.fixture
def files(workplace):
    """A competition with a config, remains of it, and a competition without a config."""
    external = {"external": ["oof/tiny/mate", "theirs/other"]}
    write_competition(workplace, "regression", settings={"members": MEMBERS, "blend": external})

    def write(*paths):
        for path in map(Path, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 250_000)

    write("oof/tiny/leaderboard.csv")
    Path("oof/tiny/leaderboard.csv").write_text("name,kind,alone,chosen\nblend_mean,blend,,True\n")
    for member, backbone in (("mean", "aa"), ("tfidf_linear", None), ("max", "bb")):
        unit = Path(f"models/tiny/{member}/fold0")
        write(unit / "weights.safetensors", f"oof/tiny/{member}/oof.csv")
        write_json(unit / "run.json", {"encoding": {"backbone": backbone}})
    write("models/tiny/backbones/aa/w", "models/tiny/backbones/cc/w", "models/tiny/blend/mean")
    write("oof/tiny/blend_mean/oof.csv", "oof/tiny/blend_old/oof.csv", "oof/tiny/mate/oof.csv")
    write("submissions/tiny/max.csv", "reports/tiny/index.html", "folds/tiny.csv", "data/old/a")
    write("models/tiny-quick/mean/fold0/w", "theirs/other/oof.csv", "models/README.md")
    for part in ("models", "oof", "submissions", "reports"):
        write(f"{part}/old/a")
    write("folds/old.csv", "folds/old.json")


UNNAMED = {
    "models/tiny/max",
    "models/tiny/backbones/cc",
    "oof/tiny/max",
    "oof/tiny/blend_old",
    "models/old",
    "oof/old",
    "submissions/old",
    "reports/old",
    "folds/old.csv",
    "folds/old.json",
}


def present():
    return {path for path in Path().rglob("*") if path.is_file() and path.suffix != ".lock"}


def listed(out):
    *lines, total = out.splitlines()
    return {line.split()[2]: line.split()[0] for line in lines}, total


def test_what_no_config_names_is_listed_with_its_size_and_stays(files, capsys):
    before = present()
    clean.main([])
    sizes, total = listed(capsys.readouterr().out)
    assert sizes.keys() == UNNAMED
    assert sizes["oof/old"] == "0.2"
    assert sizes["models/tiny/max"] == "0.3"  # weights and run.json
    assert "--remove" in total
    assert present() == before


def test_it_is_removed_when_told_to_and_nothing_else_is(files, capsys):
    stays = {
        path for path in present() if not any(path.is_relative_to(unnamed) for unnamed in UNNAMED)
    }
    clean.main(["--remove"])
    assert present() == stays
    assert listed(capsys.readouterr().out)[0].keys() == UNNAMED
    clean.main([])
    assert listed(capsys.readouterr().out)[0] == {}


def test_what_a_stage_names_before_it_frees_the_lock_stays(files, monkeypatch):
    @contextmanager
    def waited(_):
        write_json(Path("models/tiny/mean/fold1/run.json"), {"encoding": {"backbone": "cc"}})
        yield

    monkeypatch.setattr(clean, "competition_locked", waited)
    clean.main(["--remove"])
    assert Path("models/tiny/backbones/cc/w").is_file()
    assert not Path("models/tiny/max").exists()


def test_of_a_linked_folder_the_link_is_removed(files):
    Path("models/gone").symlink_to(Path("data/old").resolve())
    clean.main(["--remove"])
    assert not Path("models/gone").is_symlink()
    assert Path("data/old/a").is_file()


def test_a_competition_may_be_called_like_a_table(workplace, capsys):
    write_competition(workplace, "regression", settings={"competition": "t.csv"})
    for path in ("models/t.csv/mean/fold0", "oof/t.csv/mean", "reports/t.csv", "folds"):
        Path(path).mkdir(parents=True)
    Path("folds/t.csv.csv").write_text("id,fold\n")
    clean.main(["--remove"])
    assert listed(capsys.readouterr().out)[0] == {}


def test_a_unit_of_another_version_keeps_no_backbone(files, capsys):
    write_json(Path("models/tiny/mean/fold1/run.json"), {"member": "mean"})
    clean.main([])
    assert listed(capsys.readouterr().out)[0].keys() == UNNAMED


def test_units_of_folds_that_a_member_no_longer_has_are_listed(files, capsys):
    for fold, backbone in enumerate(("aa", "aa", "cc")):
        run = {"n_folds": 2 if fold < 2 else 3, "encoding": {"backbone": backbone}}
        Path(f"models/tiny/mean/fold{fold}").mkdir(exist_ok=True)
        write_json(Path(f"models/tiny/mean/fold{fold}/run.json"), run)
    clean.main([])
    sizes, _ = listed(capsys.readouterr().out)
    assert sizes.keys() == UNNAMED | {"models/tiny/mean/fold2"}  # and its backbone, cc


def test_a_config_may_end_in_capitals(files, capsys):
    Path("configs/tiny.yaml").rename("configs/tiny.YAML")
    clean.main([])
    assert listed(capsys.readouterr().out)[0].keys() == UNNAMED


def test_a_config_that_cannot_be_read_stops_before_anything_is_removed(files, capsys):
    Path("configs/broken.yaml").write_text("competition: [")
    before = present()
    with pytest.raises(SystemExit, match="^2$"):
        clean.main(["--remove"])
    assert "broken.yaml" in capsys.readouterr().err
    assert present() == before
