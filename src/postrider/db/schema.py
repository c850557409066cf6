"""The vocabulary of tables: one MetaData, and column types that both databases keep without conversion.

Ids are 16 bytes, times are integer milliseconds (`*_at`), JSON is text that `kit.json` reads and writes.
Every table but the few global ones has organization_id first in its key, so that it can be distributed by it.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, SmallInteger, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, UserDefinedType

from postrider.kit import json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Bytes(UserDefinedType[bytes]):
    """BLOB or BYTEA handed to the driver as it is: LargeBinary would wrap every value in a memoryview."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BLOB"


@compiles(Bytes, "postgresql")
def _bytea(_type: Bytes, _compiler: Any, **_: Any) -> str:
    return "BYTEA"


class Json(TypeDecorator[Any]):
    """A JSON value kept as text; None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def id_(name: str = "id", **options: Any) -> Column[bytes]:
    return Column(name, Bytes(), **{"nullable": False, **options})


def organization_id(**options: Any) -> Column[int]:
    return Column("organization_id", BigInteger, nullable=False, **options)


def text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, **{"nullable": False, **options})


def small(name: str, **options: Any) -> Column[int]:
    """A code of a closed set, or a flag as 0 and 1."""
    return Column(name, SmallInteger, **{"nullable": False, **options})


def integer(name: str, **options: Any) -> Column[int]:
    return Column(name, Integer, **{"nullable": False, **options})


def big(name: str, **options: Any) -> Column[int]:
    return Column(name, BigInteger, **{"nullable": False, **options})


def at(name: str, **options: Any) -> Column[int]:
    """A time in milliseconds since 1970, UTC."""
    return Column(name, BigInteger, **{"nullable": True, **options})


def blob(name: str, **options: Any) -> Column[bytes]:
    return Column(name, Bytes(), **{"nullable": False, **options})


def json_(name: str, **options: Any) -> Column[Any]:
    return Column(name, Json(), **{"nullable": True, **options})
