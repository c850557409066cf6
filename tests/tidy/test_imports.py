"""Who may import whom: each rule is a sentence and the imports (own module, other name) that break it."""

import pytest

from .source import PACKAGE, imports, module_name, python_files

Name = list[str]  # postrider, layer, package, module, …
STOREYS = "kit|db|engine|settings logs metrics|surfaces workers|app|run welcome doctor|cli".split("|")  # noqa: SIM905
LAYERS = {name: height for height, names in enumerate(STOREYS) for name in names.split()}
ENGINE = """
errors principal suppression messages journal accounts jobs content domains audience deliverability sending
delivery engagement insight webhooks automations intelligence notices tables
""".split()  # noqa: SIM905
FRAMEWORKS = {"fastapi", "starlette", "uvicorn", "aiosmtpd", "httptools", "typer"}
FILES = python_files(PACKAGE)


def climbs(own: Name, other: Name) -> bool:
    return own[1] != other[1] and LAYERS[own[1]] <= LAYERS[other[1]]


def breaks_engine_order(own: Name, other: Name) -> bool:
    both = own[1] == other[1] == "engine" and len(own) > 2 and len(other) > 2
    return both and ENGINE.index(own[2]) < ENGINE.index(other[2])


def leaves_its_surface(own: Name, other: Name) -> bool:
    if own[1] != "surfaces" or own[2:3] == ["common"]:
        return False
    return other[1] == "db" or (other[1] == "surfaces" and other[2:3] not in ([], own[2:3], ["common"]))


def reaches_into_a_store(own: Name, other: Name) -> bool:
    return other[1] == "engine" and other[3:4] == ["store"] and own[:3] != other[:3]


def reaches_into_tables(own: Name, other: Name) -> bool:
    """Another package's SQL may name a table, except those of messages; app and engine/tables list all."""
    if other[1] != "engine" or other[3:4] != ["tables"] or own[:3] == other[:3]:
        return False
    sees_all = own[1] in {"app", "cli"} or own[2:] == ["tables"]
    return not sees_all and (own[1] != "engine" or other[2] == "messages")


RULES = (climbs, breaks_engine_order, leaves_its_surface, reaches_into_a_store, reaches_into_tables)


@pytest.mark.parametrize("path", [path for path in FILES if path != "src/postrider/__init__.py"])
def test_imports_keep_to_the_layout(path: str) -> None:
    own = module_name(path).split(".")
    assert own[1] in LAYERS, f"{path} has no place in the layout"
    others = [name.split(".") for name in imports(path) if name.startswith("postrider.")]
    assert not [(rule, name) for name in others for rule in RULES if name[1] in LAYERS and rule(own, name)]


@pytest.mark.parametrize("path", [path for path in FILES if path.split("/")[2] in {"kit", "db", "engine"}])
def test_kit_db_and_engine_know_no_web_or_mail_server(path: str) -> None:
    roots = {name.partition(".")[0] for name in imports(path)}
    assert not roots & FRAMEWORKS, path
    assert "pydantic_core" not in roots or path.endswith(("kit/json.py", "kit/pattern.py")), path
