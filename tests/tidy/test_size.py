"""How long files and functions may be, that modules say what they are for, and who may catch everything."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from .source import PACKAGE, ROOT, python_files, tree

FILE_MAX_LINES = 500
FUNCTION_MAX_LINES = 60
EDGES = (
    *("workers/loop.py", "kit/gate.py", "db/database.py", "surfaces/common/"),
    # These look for the one job, event or request of many that is at fault, and let the others go on.
    *("workers/jobs.py", "engine/journal/follow.py", "engine/sending/sender.py"),
)
FILES = python_files(PACKAGE)


@pytest.mark.parametrize("path", python_files(PACKAGE, ROOT / "tests", ROOT / "bench"))
def test_files_and_functions_are_short(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= FILE_MAX_LINES, path
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_MAX_LINES, f"{path}: {node.name}"


@pytest.mark.parametrize("path", FILES)
def test_a_module_says_what_it_is_for(path: str) -> None:
    assert ast.get_docstring(tree(path)), path


def test_no_two_files_of_tests_have_one_name() -> None:
    """They are no packages: pytest would read the second as the first."""
    names = [Path(path).name for path in python_files(ROOT / "tests") if Path(path).name.startswith("test_")]
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize("path", [path for path in FILES if not path[14:].startswith(EDGES)])
def test_only_edges_catch_everything(path: str) -> None:
    handlers = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)]
    assert not [node.lineno for node in handlers if catches_all(node) and not raises_again(node)], path


def catches_all(handler: ast.ExceptHandler) -> bool:
    named = [node.id for node in ast.walk(handler.type or handler) if isinstance(node, ast.Name)]
    return handler.type is None or not {"Exception", "BaseException"}.isdisjoint(named)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Cleaning up and letting the error go on is no catching."""
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
