"""Customers' templates: plain variables by joining pre-split segments, anything more by Liquid, sandboxed.

Missing variables render empty. In HTML values are escaped; in text and subjects they stand as they are.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from liquid import escape as html_escape
from liquid.stringify import to_liquid_string

from postrider.engine.content import sandbox
from postrider.engine.errors import TemplateFault

Vars = Mapping[str, Any]

_NAME = r"[A-Za-z_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_BLANK = r"[ \t\r\n]*"
_VARIABLE = re.compile(
    rf"\{{\{{{_BLANK}(?P<path>{_NAME}(?:\.{_NAME})*){_BLANK}"
    rf"(?:\|{_BLANK}default{_BLANK}:{_BLANK}(?P<default>\"[^\"{{}}]*\"|'[^'{{}}]*'){_BLANK})?\}}\}}"
)
# Words that Liquid reads otherwise than as the name of a variable or of one of its fields.
_NOT_PLAIN = frozenset(
    re.findall(
        r"\w+",
        "true false nil null empty blank and or contains not in offset limit reversed cols continue with for "
        "as if else required size first last",
    )
)


class Escape(Enum):
    NONE = "none"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template. `constant` is its text where nothing in it depends on variables."""

    render: Callable[[Vars], str]  # raises TemplateFault where a limit is passed
    variables: frozenset[str]
    constant: str | None = None
    places: Mapping[str, int] = field(default_factory=dict)  # where each variable stands first in the source


def compile(source: str, escape: Escape, *, field: str = "body") -> Template:
    """Raises TemplateFault(field, message, line, column), line and column from 1."""
    if "{{" not in source and "{%" not in source:
        return Template(lambda _: source, frozenset(), source)
    return _segmented(source, escape, field) or _logic(source, escape, field)


def _segmented(source: str, escape: Escape, field: str) -> Template | None:
    """The template as literals and slots, or None where it holds more than plain variables."""
    literals: list[str] = []
    slots: list[_Slot] = []
    places: dict[str, int] = {}
    at = 0
    for match in _VARIABLE.finditer(source):
        path = match["path"].split(".")
        if not _NOT_PLAIN.isdisjoint(path):
            return None
        literals.append(source[at : match.start()])
        slots.append(_Slot(path[0], tuple(path[1:]), match["default"] and match["default"][1:-1]))
        places.setdefault(path[0], match.start("path"))
        at = match.end()
    literals.append(source[at:])
    # `{{{ x }}` is no plain variable to Liquid, which reads from the first brace.
    if any("{{" in text or "{%" in text for text in literals) or any(t.endswith("{") for t in literals[:-1]):
        return None
    return Template(_segment_renderer(literals, slots, escape, field), frozenset(places), places=places)


@dataclass(frozen=True, slots=True)
class _Slot:
    root: str
    path: tuple[str, ...]
    default: str | None


def _segment_renderer(
    literals: list[str], slots: list[_Slot], escape: Escape, field: str
) -> Callable[[Vars], str]:
    html = escape is Escape.HTML
    head = literals[0]
    steps = [
        (slot.root, slot.path, slot.default, after) for slot, after in zip(slots, literals[1:], strict=True)
    ]

    def render(variables: Vars) -> str:
        out = [head]
        for root, path, default, after in steps:
            value = variables.get(root)
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if type(value) is str and value:
                out.append(html_escape(value) if html else value)
            elif default is not None and _is_blank(value):
                out.append(default)
            else:
                out.append(to_liquid_string(value, html))
            out.append(after)
        text = "".join(out)
        if len(text) > sandbox.OUTPUT_MAX_BYTES:
            raise TemplateFault(field=field, message="output stream limit reached", line=1, column=1)
        return text

    return render


def _is_blank(value: object) -> bool:
    """What Liquid's `default` replaces; 0 is not among it."""
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def _logic(source: str, escape: Escape, field: str) -> Template:
    environment = _HTML if escape is Escape.HTML else _TEXT
    try:
        logic = sandbox.Logic(source, environment=environment)
    except sandbox.LiquidFault as fault:
        raise _template_fault(fault, source, field) from None

    def render(variables: Vars) -> str:
        try:
            return logic.render(variables)
        except sandbox.LiquidFault as fault:
            raise _template_fault(fault, source, field) from None

    return Template(render, frozenset(logic.places), places=logic.places)


def fault_at(source: str, index: int, message: str, *, field: str) -> TemplateFault:
    """A fault at an offset into a template's source."""
    line = source.count("\n", 0, index) + 1
    column = index - source.rfind("\n", 0, index)
    return TemplateFault(field=field, message=message, line=line, column=column)


def _template_fault(fault: sandbox.LiquidFault, source: str, field: str) -> TemplateFault:
    return fault_at(source, fault.index or 0, fault.message, field=field)


_TEXT = sandbox.make_environment(autoescape=False)
_HTML = sandbox.make_environment(autoescape=True)
