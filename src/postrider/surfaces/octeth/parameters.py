"""What a request brings: the query, a JSON object or a form, names without regard to case; and its values.

A body that starts with a brace is JSON whatever it is announced as (contract: rule 7). Files are refused.
"""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from postrider.engine.accounts.keys import NAME_MAX_CHARS
from postrider.engine.domains.rules import HOSTING_PROVIDER_MAX_CHARS
from postrider.kit import clock, json
from postrider.surfaces.common.body import SMALL_BODY_MAX_BYTES, read_body
from postrider.surfaces.common.operations import sized
from postrider.surfaces.octeth.errors import BAD_BODY, Broken
from postrider.surfaces.octeth.limits import (
    FORM_FIELDS_MAX,
    NUMBER_MAX,
    NUMBER_MAX_DIGITS,
    SEND_AHEAD_MAX_MS,
    SUBDOMAIN_MAX_CHARS,
    TEXT_MAX_CHARS,
)

_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_TIMESTAMP = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)


class Parameters:
    """The values of a request by name, in any case; of several sources the last goes first."""

    def __init__(self, *sources: Mapping[str, Any], size_bytes: int = 0) -> None:
        self.size_bytes = size_bytes  # of the body they were read from
        self._values = {name.lower(): value for source in sources for name, value in source.items()}

    def get(self, name: str) -> Any:
        return self._values.get(name.lower())

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def named(self, names: Mapping[str, str]) -> dict[str, Any]:
        """By the names documented, {lower case: documented}; others are left out."""
        return {names[name]: value for name, value in self._values.items() if name in names}


async def read_parameters(request: Request, json_max_bytes: int = SMALL_BODY_MAX_BYTES) -> Parameters:
    """Body and query, the query first (contract: rule 6). Raises TooLarge, Broken for what is unreadable."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = kind in (_FORM, _MULTIPART)
    raw = await read_body(request, min(json_max_bytes, SMALL_BODY_MAX_BYTES) if is_form else json_max_bytes)
    try:
        body = await _read(raw, kind, request)
    except (ValueError, MultiPartException):
        raise Broken(BAD_BODY, "The request body cannot be read.") from None
    return Parameters(body, dict(request.query_params), size_bytes=len(raw))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: `read` raises ValueError, `shown` is its type in the description."""

    read: Callable[[Any], Any]
    shown: Any
    may_be_empty: bool = False  # an empty text is a value of its own, not the absence of one


def text_within(limit_chars: int) -> Callable[[Any], str]:
    """Printable text of one line, its ends trimmed."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > limit_chars or not value.strip().isprintable():
            raise ValueError("not a short text")
        return value.strip()

    return read


def number(value: Any) -> int:
    """An integer or numeric text, within what numbers are kept as."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= NUMBER_MAX_DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= NUMBER_MAX:
        raise ValueError("not a number")
    return value


def switch(value: Any) -> bool:
    """1, 0, true, false, yes, no, as texts, numbers or booleans (contract: rule 5)."""
    if not isinstance(value, str | int) or (found := _SWITCHES.get(str(value).strip().lower())) is None:
        raise ValueError("not a switch")
    return found


def moment(value: Any) -> int:
    """Unix seconds, `YYYY-MM-DD HH:MM:SS` or ISO 8601, in UTC without an offset, as milliseconds."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("not a time")
    written = str(value).strip()
    if _TIMESTAMP.fullmatch(written):
        at = int(float(written) * clock.SECOND)
    else:
        try:
            at = clock.from_iso(written)
        except OverflowError:
            raise ValueError("not a time") from None
    if at > clock.now_ms() + SEND_AHEAD_MAX_MS:
        raise ValueError("too far ahead")
    return at


def _subdomain(value: Any) -> str:
    """Letters, digits and hyphens, none at either end; empty for the default."""
    label = value.lower() if isinstance(value, str) else "-"
    if label and (len(label) > SUBDOMAIN_MAX_CHARS or not _LABEL.fullmatch(label)):
        raise ValueError("not a label")
    return label


def _password(value: Any) -> str:
    """Any text: what it may hold is not this dialect's to say."""
    if not isinstance(value, str) or len(value) > TEXT_MAX_CHARS:
        raise ValueError("not a password")
    return value


def _address(value: Any) -> str:
    return str(ip_address(value.strip() if isinstance(value, str) else ""))


NUMBER = Kind(number, int | str)
TEXT = Kind(text_within(TEXT_MAX_CHARS), str)
PASSWORD = Kind(_password, str)
NOTE = Kind(text_within(NAME_MAX_CHARS), str)
PROVIDER = Kind(text_within(HOSTING_PROVIDER_MAX_CHARS), str, may_be_empty=True)
SUBDOMAIN = Kind(_subdomain, str, may_be_empty=True)
SWITCH = Kind(switch, Literal["1", "0"] | bool | int)
IP_ADDRESS = Kind(_address, str)


async def _read(raw: bytes, kind: str, request: Request) -> dict[str, Any]:
    """Raises ValueError or MultiPartException."""
    if not raw.strip():
        return {}
    if kind.endswith("json") or raw.lstrip().startswith(b"{"):
        body = await sized(len(raw), json.loads, raw)
        if not isinstance(body, dict):
            raise ValueError("no JSON object")
        return body
    if kind == _MULTIPART:
        parts = MultiPartParser(
            request.headers,
            _once(raw),
            max_files=0,
            max_fields=FORM_FIELDS_MAX,
            max_part_size=SMALL_BODY_MAX_BYTES,
        )
        return {name: _encodable(value) for name, value in (await parts.parse()).items()}
    return dict(
        parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="strict")
    )


def _encodable(value: Any) -> Any:
    """A part may name any charset, and some of them decode to lone surrogates: UnicodeEncodeError."""
    value.encode()
    return value


async def _once(raw: bytes) -> AsyncGenerator[bytes, None]:
    yield raw
