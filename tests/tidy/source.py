"""The sources as syntax trees, and the few questions that are asked of them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "postrider"


def python_files(*folders: Path) -> list[str]:
    """Paths from the root, as text: they name the test cases. Migrations are Alembic's hand and left out."""
    found = (path for folder in folders for path in folder.rglob("*.py") if path.parent.name != "versions")
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), path)


def module_name(path: str) -> str:
    """src/postrider/engine/journal/__init__.py -> postrider.engine.journal"""
    parts = list(Path(path).with_suffix("").relative_to("src").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: str) -> list[str]:
    """Dotted names of all that a file imports, down to the imported name."""
    package = list(Path(path).parent.relative_to("src").parts)
    found: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{stem}.{alias.name}" for alias in node.names]
    return found


def strings(path: str) -> Iterator[ast.Constant]:
    """Every text constant but docstrings; the fixed parts of f-strings are constants too."""
    told = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node


@cache
def words(path: str) -> frozenset[str]:
    """Names of attributes and keywords, and the words within text constants."""
    nodes = list(ast.walk(tree(path)))
    texts = {word for node in strings(path) for word in re.findall(r"\w+", str(node.value))}
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return frozenset(texts | names | {node.arg or "" for node in nodes if isinstance(node, ast.keyword)})


def columns(path: str) -> Iterator[tuple[str, str]]:
    """(table, column) for each `Table("name", metadata, text("column"), …)`; id_() names itself."""
    for table in ast.walk(tree(path)):
        if not (isinstance(table, ast.Call) and _called(table) == "Table"):
            continue
        for item in table.args[2:]:
            if not isinstance(item, ast.Call) or _called(item) in {"Index", "PrimaryKeyConstraint"}:
                continue
            names = [arg.value for arg in item.args[:1] if isinstance(arg, ast.Constant)]
            yield ast.literal_eval(table.args[0]), str((names or [_called(item).removesuffix("_")])[0])


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""
