"""JSON in and out by pydantic-core, compact, with one error type."""

from typing import Any

import pydantic_core


def dumps(value: Any) -> str:
    return pydantic_core.to_json(value).decode()


def dump_bytes(value: Any) -> bytes:
    return pydantic_core.to_json(value)


def loads(text: str | bytes) -> Any:
    """Raises ValueError for anything that is not JSON (NaN and Infinity included)."""
    return pydantic_core.from_json(text, allow_inf_nan=False)
