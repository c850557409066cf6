"""Who a User-Agent is: scanner, tool, proxy or reader, and with what device. It looks at nothing else.

What is told is cached: the parser takes up to a millisecond for a name it has not seen, so that names are
looked at once outside of any transaction (see follow.due_hits).
"""

import re
import tomllib
from collections.abc import Mapping
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import ua_parser

from postrider.kit.record import record

CACHE_MAX_AGENTS = 20_000
_TABLE = "scanners.toml"
# Mail programs by what they send, where neither a browser nor the parser tells them.
_CLIENTS = (
    (re.compile(r"Outlook|Microsoft Office|MSOffice|ms-office", re.IGNORECASE), "Outlook"),
    (re.compile(r"Thunderbird", re.IGNORECASE), "Thunderbird"),
    # Apple Mail is WebKit that no browser signs.
    (
        re.compile(r"\((?:Macintosh|iPhone|iPad)(?!.*(?:Chrome|Safari|Firefox|Edg)/).*AppleWebKit/"),
        "Apple Mail",
    ),
)
_BROWSERS = {"Edge": "Edge", "Chrome": "Chrome", "Firefox": "Firefox", "Safari": "Safari", "Opera": "Opera"}
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Ubuntu": "Linux", "Fedora": "Linux"}
_DESKTOPS = frozenset(["Windows", "macOS", "Linux", "ChromeOS"])


class AgentKind(Enum):
    SCANNER = "scanner"
    TOOL = "tool"
    PROXY = "proxy"
    READER = "reader"  # a browser or mail program that the parser knows
    STRANGER = "stranger"  # a name that nobody knows
    NOBODY = "nobody"  # no name at all


@record
class Agent:
    """`name` is of a scanner, tool or proxy. `device`: {type, os, browser, client}, None where unknown."""

    kind: AgentKind
    name: str | None
    device: dict[str, str | None] | None


@lru_cache(CACHE_MAX_AGENTS)
def agent_of(user_agent: str) -> Agent:
    """A proxy's device is not its reader's: of one only the mail program is known."""
    if not user_agent.strip():
        return Agent(AgentKind.NOBODY, None, None)
    for pattern, kind, name, client in _table():
        if pattern.search(user_agent):
            device = _device(None, None, None, client) if client else None
            return Agent(kind, name, device)
    device = _parsed(user_agent)
    return Agent(AgentKind.READER if device else AgentKind.STRANGER, None, device)


def get_ready() -> None:
    """Half a second for the parser's rules, better spent at start than at the first hit."""
    agent_of("Mozilla/5.0 (X11; Linux x86_64)")


@cache
def _table() -> list[tuple[re.Pattern[str], AgentKind, str, str | None]]:
    rows = tomllib.loads(files(__package__).joinpath(_TABLE).read_text())["agent"]
    return [
        (re.compile(row["text"], re.IGNORECASE), AgentKind(row["kind"]), row["name"], row.get("client"))
        for row in rows
    ]


def _parsed(user_agent: str) -> dict[str, str | None] | None:
    told = ua_parser.parse(user_agent)
    client = next((name for sign, name in _CLIENTS if sign.search(user_agent)), None)
    family = told.user_agent.family if told.user_agent else None
    system = told.os.family if told.os else None
    if client is None and family is None and system is None:
        return None
    system = _SYSTEMS.get(system or "", system)
    browser = None if client else _browser(family)
    return _device(_type_of(user_agent, system), system, browser, client)


def _device(
    kind: str | None, system: str | None, browser: str | None, client: str | None
) -> dict[str, str | None]:
    return {"type": kind, "os": system, "browser": browser, "client": client}


def _browser(family: str | None) -> str | None:
    """The parser tells variants of a browser apart (Mobile Safari, Chrome Mobile iOS) that are one here."""
    return next((name for part, name in _BROWSERS.items() if family and part in family), family)


def _type_of(user_agent: str, system: str | None) -> str | None:
    if "iPad" in user_agent or "Tablet" in user_agent:
        return "tablet"
    if "iPhone" in user_agent or "Mobile" in user_agent:
        return "mobile"
    if system == "Android":
        return "mobile" if "Dalvik/" in user_agent else "tablet"  # a browser of a phone says Mobile
    return "desktop" if system in _DESKTOPS else None


def device_of(data: Mapping[str, Any]) -> dict[str, str | None]:
    """The device of an opening's or click's data; every value None where it tells of none."""
    return {**_device(None, None, None, None), **(data.get("device") or {})}
