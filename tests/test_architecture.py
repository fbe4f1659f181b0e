"""Which file may import which, held against what they do import; a file that is not listed fails.

Arrows run one way: from the stages down to what knows nothing of the others.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.predictors.predictions import board

PIPELINE = Path(__file__).parents[1] / "pipeline"
STAGES = ("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
MAY_IMPORT = {
    "__init__": "",
    # what a stage reads from the command line and from the competition's tables
    "settings.__init__": "",
    "settings.command": "settings.config settings.errors settings.members",
    "settings.config": "metrics settings.members settings.section",
    "settings.errors": "settings.config settings.members",
    "settings.members": "classic.classics settings.section settings.trainer_keys",
    "settings.section": "",
    "settings.trainer_keys": "",
    "competition": "artifacts settings.config splits tables targets tasks",
    "sample_submission": "artifacts settings.config tables tasks",
    "folds": "artifacts competition settings.config splits tables tasks",
    "targets": "tables",
    "tables": "artifacts",
    "splits": "",
    "demos": "artifacts demo_sources",
    "demo_sources": "",
    "backbones": "artifacts demos",
    # what is trained: one member on one fold
    "units": "artifacts tasks",
    "unit_folder": "artifacts metrics predictors provenance tasks units",
    "plans": "bert.plan classic.plan tasks unit_folder units",
    "bert.__init__": "",
    "bert.plan": "bert.tokens bert.trainer bert.unit tasks unit_folder units",
    "bert.unit": "artifacts bert.finetune bert.network bert.poolings bert.tokens bert.trainer tasks"
    " unit_folder units",
    "bert.embeddings": "artifacts bert.finetune bert.network bert.tokens jobs",
    "bert.finetune": "bert.network bert.tokens bert.trainer tasks",
    "bert.trainer": "bert.tokens",
    "bert.network": "bert.poolings",
    "bert.poolings": "",
    "bert.tokens": "",
    "classic.__init__": "",
    "classic.plan": "bert.embeddings bert.finetune classic.classics classic.unit tasks unit_folder"
    " units",
    "classic.unit": "artifacts classic.classics tasks unit_folder units",
    "classic.classics": "classic.heads classic.statistics classic.tfidf tasks",
    "classic.heads": "tasks",
    "classic.statistics": "tasks",
    "classic.tfidf": "",
    # what is blended
    "ensemble.__init__": "",
    "ensemble.blenders": "ensemble.means ensemble.stackers ensemble.two_level ensemble.weights"
    " tasks",
    "ensemble.means": "tasks",
    "ensemble.stackers": "ensemble.columns tasks",
    "ensemble.columns": "tasks",
    "ensemble.two_level": "ensemble.crossfit splits tasks",
    "ensemble.decisions": "counts ensemble.calibration ensemble.thresholds metrics tasks",
    "ensemble.calibration": "tasks",
    "ensemble.thresholds": "counts metrics tasks",
    "ensemble.weights": "ensemble.objectives ensemble.selection tasks",
    "ensemble.selection": "ensemble.objectives ensemble.shortcuts tasks",
    "ensemble.shortcuts": "ensemble.objectives tasks",
    "ensemble.objectives": "metrics tasks",
    "ensemble.candidates": "ensemble.blenders ensemble.crossfit ensemble.intervals metrics tasks",
    "ensemble.crossfit": "tasks",
    "ensemble.resampled": "counts metrics tasks",
    "ensemble.draws": "",
    "ensemble.intervals": "ensemble.draws ensemble.resampled metrics tasks",
    "ensemble.leaderboard": "ensemble.intervals metrics tasks",
    "ensemble.choice": "ensemble.crossfit ensemble.intervals ensemble.leaderboard metrics tasks",
    "ensemble.stability": "ensemble.draws tasks",
    "ensemble.suspicion": "metrics tasks",
    "ensemble.diversity": "tasks",
    "ensemble.moments": "ensemble.draws ensemble.resampled tasks",
    "ensemble.shapley": "ensemble.draws ensemble.moments ensemble.resampled metrics tasks",
    # what is written
    "predictors": "artifacts foreign tasks",
    "foreign": "artifacts tables tasks",
    "board": "artifacts competition settings.config foreign predictors stack",
    "stack": "ensemble.suspicion foreign predictors tasks",
    "summary": "metrics",
    "submission": "metrics sample_submission tasks",
    # what is told
    "solution": "artifacts settings.config tables targets tasks",
    "reporting.__init__": "",
    "reporting.evidence": "artifacts board competition folds predictors settings.config solution"
    " stack tasks",
    "reporting.summary": "ensemble.diversity ensemble.shapley metrics reporting.behaviour"
    " reporting.evidence reporting.rows reporting.runs reporting.sampling reporting.verdict tasks",
    "reporting.verdict": "reporting.numbers",
    "reporting.behaviour": "competition reporting.evidence tasks",
    "reporting.rows": "competition ensemble.diversity metrics reporting.evidence"
    " reporting.numbers reporting.sampling tasks",
    "reporting.runs": "artifacts foreign metrics provenance reporting.evidence",
    "reporting.sampling": "ensemble.draws metrics reporting.evidence tasks",
    "reporting.numbers": "",
    "reporting.svg": "",
    "reporting.figures": "reporting.numbers reporting.svg",
    "reporting.curves": "reporting.numbers reporting.svg",
    "reporting.page": "reporting.curves reporting.figures reporting.numbers",
    # what everybody may use
    "artifacts": "",
    "jobs": "",
    "metrics": "counts tasks",
    "counts": "tasks",
    "provenance": "",
    "tasks": "",
}
HEAVY = {"torch", "transformers", "accelerate", "safetensors"}
MOST_LINES = 250


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PIPELINE).with_suffix("").parts)


FILES = {module_of(path): path for path in sorted(PIPELINE.rglob("*.py"))}


def imports_of(tree: ast.AST) -> set[str]:
    """Full names of the modules imported anywhere below; relative ones start with a dot."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            of_package = {f"{module}.{alias.name}" for alias in node.names}
            is_package = module.startswith("pipeline") and module_named(module) not in FILES
            found |= of_package if is_package else {module}
    return found


def module_named(name: str) -> str:
    return name.removeprefix("pipeline").removeprefix(".")


def own_imports(module: str) -> set[str]:
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    return {module_named(name) for name in imports_of(tree) if name.startswith(("pipeline", "."))}


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_only_what_it_may(module):
    if module in STAGES:
        allowed = set(MAY_IMPORT)
    else:
        assert module in MAY_IMPORT, f"say in MAY_IMPORT what {module} may import"
        allowed = set(MAY_IMPORT[module].split())
    assert own_imports(module) <= allowed


def test_the_table_lists_no_file_and_no_import_that_is_gone():
    assert set(FILES) == {*MAY_IMPORT, *STAGES}
    for module, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) == own_imports(module), module


def test_arrows_run_one_way():
    order = list(TopologicalSorter({m: own_imports(m) for m in FILES}).static_order())
    assert set(order) == set(FILES)  # a circle raises


def test_nobody_imports_a_stage():
    for module in FILES:
        assert own_imports(module).isdisjoint(STAGES), module


def test_what_trains_and_what_blends_take_values_and_not_the_config():
    for module in FILES:
        if module.startswith(("bert.", "classic.", "ensemble.")):
            of_config = [m for m in own_imports(module) if m.startswith("settings.")]
            assert not of_config, module
            assert "competition" not in own_imports(module), module


def test_only_what_trains_imports_torch_when_it_is_imported():
    """Whether all is done is known without it: it takes seconds to load."""
    for module, path in FILES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        names = imports_of(top)
        at_once = {name.partition(".")[0] for name in names}
        if not module.startswith("bert."):
            assert at_once.isdisjoint(HEAVY), module
            assert not [name for name in names if name.startswith("pipeline.bert")], module


def test_a_leaderboard_is_made_again_whatever_code_of_the_blends_changed(monkeypatch):
    hashed: list[Path] = []

    def remember(path: Path) -> str:
        hashed.append(path)
        return ""

    monkeypatch.setattr(board, "file_sha256", remember)
    board.code_sha256()
    blends = {module for module in FILES if module.startswith("ensemble.")}
    while more := set().union(*map(own_imports, blends)) - blends:
        blends |= more
    assert {*blends, "blend"} <= {module_of(path) for path in hashed}


@pytest.mark.parametrize("module", FILES)
def test_a_file_says_what_it_is_for_and_is_short(module):
    text = FILES[module].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_main_that_a_test_can_call(stage):
    tree = ast.parse(FILES[stage].read_text(encoding="utf-8"))
    (main,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    assert [argument.arg for argument in main.args.args] == ["argv"]
    assert ast.unparse(main.args.defaults[0]) == "None"
