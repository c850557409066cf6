"""What may be written where: SQL, dialects' names, columns and settings."""

import ast
import re
from pathlib import Path

import pytest

from .source import PACKAGE, ROOT, columns, imports, python_files, strings, tree, words

DIALECTS = ("mailerlogic", "octeth", "nudgecampaign", "penguinmails")
FILES = python_files(PACKAGE)
TABLES = [path for path in FILES if path.endswith("tables.py")]
NOT_YET = ROOT / "docs" / "not-yet.md"
KINDS = ("toml", "html", "css", "js", "yaml")
OTHERS = [str(path.relative_to(ROOT)) for kind in KINDS for path in PACKAGE.rglob(f"*.{kind}")]
SQL = re.compile(r"\s*(SELECT\s|INSERT INTO\s|UPDATE \S+ SET\s|DELETE FROM\s|WITH \w+(\(.*\))? AS )")


@pytest.mark.parametrize("path", [path for path in FILES if "/db/" not in path])
def test_sql_stands_in_stores_only(path: str) -> None:
    name = Path(path).name
    if name == "store.py":
        return
    foreign = [name for name in imports(path) if name.startswith(("sqlalchemy", "postrider.db.portable"))]
    assert name == "tables.py" or not foreign, f"{path} imports {foreign}"
    named = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute))
    calls = [node for node in named if node.attr in {"exec_driver_sql", "executemany"}]
    written = [node for node in strings(path) if SQL.match(str(node.value))]
    assert not [node.lineno for node in (*calls, *written)], f"{path} has SQL"


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith("store.py")])
def test_only_messages_touches_message_tables(path: str) -> None:
    if "/engine/messages/" in path:
        return
    names = {table for table, _ in columns("src/postrider/engine/messages/tables.py")}
    touches = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+\"?({'|'.join(names)})\b")
    assert not [node.lineno for node in strings(path) if touches.search(str(node.value))], path


@pytest.mark.parametrize("path", FILES + sorted(OTHERS))
def test_a_dialect_is_named_in_its_own_folder_only(path: str) -> None:
    text = (ROOT / path).read_text().lower()
    named = [name for name in DIALECTS if name in text and f"/surfaces/{name}/" not in path]
    assert not named or path == "src/postrider/app.py", f"{path} names {named}"


@pytest.mark.parametrize("path", TABLES)
def test_every_column_is_read_or_listed_as_not_yet(path: str) -> None:
    used = frozenset[str]().union(*(words(file) for file in FILES if file not in TABLES))
    used |= {f"first_{word}_at" for word in used}  # a mark's column is found by the mark's name
    unread = [f"{table}.{column}" for table, column in columns(path) if column not in used]
    assert not [name for name in unread if not listed(name)], f"{path}: nothing reads these"


def test_every_setting_is_read_or_listed_as_not_yet() -> None:
    path = "src/postrider/settings.py"
    own = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}  # by a property
    used = own.union(*(words(file) for file in FILES if file != path))
    fields = [node.target for node in ast.walk(tree(path)) if isinstance(node, ast.AnnAssign)]
    unread = [name.id for name in fields if isinstance(name, ast.Name) and name.id not in used]
    assert not [name for name in unread if not listed(name.upper())], "nothing reads these settings"


def listed(name: str) -> bool:
    """Whether docs/not-yet.md has the name as `code`."""
    return NOT_YET.exists() and f"`{name}`" in NOT_YET.read_text()
