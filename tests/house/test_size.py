"""Rooms stay small: the numbers of the codebases this one is measured by."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("shared/src", "services", "deploy/local/src", "bench")
FILE_LINES = 300
TEST_FILE_LINES = 500
FUNCTION_LINES = 50
USUAL_FUNCTION_LINES = 25
PARAMETERS = 6
NESTING = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)


def sources(*folders: str) -> list[Path]:
    """Return our files; migrations are written once, by a tool, and are no rooms."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "versions" not in path.parts)


def functions(paths: list[Path]) -> Iterator[tuple[str, Function]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([argument for argument in named if argument.arg not in {"self", "cls"}])


def nesting(node: ast.AST) -> int:
    """Return how deep blocks stand in each other; an `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def test_files_stay_within_their_lines() -> None:
    limits = dict.fromkeys(sources(*OURS), FILE_LINES) | dict.fromkeys(sources("tests"), TEST_FILE_LINES)
    counted = {path: len(path.read_text().splitlines()) for path in limits}
    assert {
        str(path.relative_to(ROOT)): count for path, count in counted.items() if count > limits[path]
    } == {}


def test_functions_stay_within_their_lines() -> None:
    assert {
        name: lines(each) for name, each in functions(sources(*OURS, "tests")) if lines(each) > FUNCTION_LINES
    } == {}


def test_nine_functions_in_ten_are_short() -> None:
    counted = sorted(lines(each) for _, each in functions(sources(*OURS)))
    assert counted[len(counted) * 9 // 10] <= USUAL_FUNCTION_LINES


def test_functions_take_six_parameters_at_most() -> None:
    found = functions(sources(*OURS))  # a test names the fixtures it wants, which is no interface
    assert {name: parameters(each) for name, each in found if parameters(each) > PARAMETERS} == {}


def test_blocks_stand_three_deep_at_most() -> None:
    found = functions(sources(*OURS, "tests"))
    assert {name: nesting(each) for name, each in found if nesting(each) > NESTING} == {}


@pytest.mark.parametrize(
    ("source", "deep"),
    [
        ("def f():\n  pass", 0),
        ("def f():\n  if a:\n    pass\n  elif b:\n    pass\n  elif c:\n    pass", 1),
        ("def f():\n  for a in b:\n    if c:\n      pass", 2),
        ("def f():\n  if a:\n    pass\n  else:\n    x()\n    if b:\n      pass", 2),
        ("def f():\n  if a:\n    def g():\n      if b:\n        pass", 1),
    ],
)
def test_the_measure_of_nesting_is_right(source: str, deep: int) -> None:
    assert nesting(ast.parse(source).body[0]) == deep
