"""Contracts as data, and what every walk over one asks of an answer: its status, its keys, its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "contract"


@dataclass(frozen=True)
class Contracted:
    """One operation as its contract has it."""

    id: str
    method: str
    paths: tuple[str, ...]  # the canonical one, then the alias
    status: int
    keys: tuple[str, ...]
    errors: frozenset[int]
    served: str  # here, track, client, …


@cache
def load(system: str) -> dict[str, Contracted]:
    """A contract's operations by id."""
    document = yaml.safe_load((FOLDER / f"{system}.yaml").read_text())
    return {operation["id"]: _contracted(operation) for operation in document["operations"]}


def missing_keys(body: Any, keys: Sequence[str]) -> list[str]:
    """Those of `keys` that the body lacks: `a.b` goes into objects, `a[].b` into every element.

    A list without elements lacks all that is said of its elements: a walk's world must fill it.
    """
    return [key for key in keys if not _has(body, key.split("."))]


def _has(value: Any, path: list[str]) -> bool:
    if not path:
        return True
    name, is_list = path[0].removesuffix("[]"), path[0].endswith("[]")
    if not isinstance(value, dict) or name not in value:
        return False
    if not is_list:
        return _has(value[name], path[1:])
    elements = value[name]
    return isinstance(elements, list) and bool(elements) and all(_has(each, path[1:]) for each in elements)


def _contracted(operation: dict[str, Any]) -> Contracted:
    alias = operation.get("alias")
    return Contracted(
        id=operation["id"],
        method=operation["method"],
        paths=(operation["path"], *([alias] if alias else [])),
        status=operation["success"]["status"],
        keys=tuple(operation["success"].get("keys", ())),
        errors=frozenset(error["status"] for error in operation.get("errors", ())),
        served=operation.get("served", "here"),
    )
