"""Rules of structure for all files of the pipeline."""

import ast
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PIPELINE = Path(__file__).parents[1] / "pipeline"
CHAIN = ("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
STAGES = (*CHAIN, "infer", "clean")
HEAVY = {"torch", "transformers", "accelerate"}
SAYS_NOTHING = {"utils", "common", "helpers", "misc"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PIPELINE).with_suffix("").parts)


TREES = {module_of(p): ast.parse(p.read_text("utf-8")) for p in sorted(PIPELINE.rglob("*.py"))}


def is_in(module: str, *rooms: str) -> bool:
    return not set(rooms).isdisjoint(module.split("."))


def imports_of(nodes: Iterable[ast.AST]) -> set[str]:
    """Full names of what the nodes import: of modules, and of what is taken from them."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            of = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names |= {of.removesuffix("."), *(of + alias.name for alias in node.names)} - {""}
    return names


def own_imports(module: str) -> set[str]:
    names = imports_of(ast.walk(TREES[module]))
    return {name.removeprefix("pipeline.") for name in names} & set(TREES)


# --- arrows

LAYERS = (  # a room imports from those to its left only
    {"files"},
    {"scoring"},
    {"settings", "demos"},
    {"ensemble", "competition"},
    {"members", "predictors"},
    {"reporting"},
    set(STAGES),
    {"__main__"},
)


def layer_of(module: str) -> int:
    (layer,) = [k for k, rooms in enumerate(LAYERS) if module.partition(".")[0] in rooms]
    return layer


@pytest.mark.parametrize("module", [m for m in TREES if not m.endswith("__init__")])
def test_a_room_imports_from_lower_layers_only(module):
    room = module.partition(".")[0]
    for other in own_imports(module) - {"__init__"}:
        assert other.partition(".")[0] == room or layer_of(other) < layer_of(module), other


def test_arrows_run_one_way():
    order = TopologicalSorter({m: own_imports(m) for m in TREES}).static_order()  # no circle
    assert set(order) == set(TREES)  # a relative import is no name of a file


def test_what_blends_takes_values_and_not_the_config():
    for module in [m for m in TREES if is_in(m, "ensemble")]:
        assert not [m for m in own_imports(module) if is_in(m, "settings", "competition")], module


def test_only_what_trains_imports_torch_when_it_is_imported():
    """Whether all is done is known without it: it takes seconds to load."""
    for module in [m for m in TREES if not is_in(m, "bert")]:
        names = imports_of(TREES[module].body)
        assert HEAVY.isdisjoint(name.partition(".")[0] for name in names), module
        assert not [name for name in names if is_in(name, "bert")], module


def test_a_backbones_folder_is_read_in_one_place_which_runs_none_of_its_code():
    calls = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "from_pretrained"
    }
    assert calls == {"members.bert.pretrained"}


# --- files


@pytest.mark.parametrize("module", TREES)
def test_a_file_says_what_it_is_for_in_its_docstring_and_its_name(module):
    assert ast.get_docstring(TREES[module])
    assert not is_in(module, *SAYS_NOTHING)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_main_that_a_test_can_call(stage):
    (main,) = [n for n in TREES[stage].body if isinstance(n, ast.FunctionDef) and n.name == "main"]
    assert [argument.arg for argument in main.args.args] == ["argv"]
    assert ast.unparse(main.args.defaults[0]) == "None"
