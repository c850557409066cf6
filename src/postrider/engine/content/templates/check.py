"""What a template may be. Needs no store, but time: MJML is compiled, Liquid parsed; call it in a thread."""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from postrider.engine.content import render, sandbox
from postrider.engine.content.check import OURS
from postrider.engine.content.render import Escape, fault_at
from postrider.engine.content.templates.mjml import compile_mjml
from postrider.engine.content.templates.model import (
    CONTACT_NAMES,
    Changes,
    Template,
    Variable,
    VariableType,
)
from postrider.engine.content.templates.settle import settle
from postrider.engine.errors import Invalid, TemplateFault
from postrider.kit import json

NAME_MAX_CHARS = 255
DESCRIPTION_MAX_CHARS = 2_000
CATEGORY_MAX_CHARS = 100
SUBJECT_MAX_CHARS = 998
HTML_MAX_CHARS = TEXT_MAX_CHARS = 500_000
COMPILED_MAX_CHARS = sandbox.SOURCE_MAX_CHARS
VARIABLES_MAX = 200
VARIABLE_NAME_MAX_CHARS = 100
DEFAULTS_MAX_BYTES = 64 * 1024  # of all defaults together, as JSON
URL_MAX_CHARS = 2_000
# What nobody else may fill: composing does, last.
RESERVED = OURS - {"preferences"}

_VARIABLE_NAME = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEXTS = {
    "name": (1, NAME_MAX_CHARS),
    "description": (0, DESCRIPTION_MAX_CHARS),
    "category": (0, CATEGORY_MAX_CHARS),
    "subject": (0, SUBJECT_MAX_CHARS),
    "html": (1, HTML_MAX_CHARS),
    "text": (0, TEXT_MAX_CHARS),
}
_CONTENT = frozenset({"subject", "html", "text", "mjml", "variables"})
_OF_ONE_LINE = frozenset({"name", "category", "subject"})
_SCALARS = (str, int, float, bool)


def check(changes: Changes, was: Template | None = None) -> dict[str, Any]:
    """The columns to be written: of a new template, or of those that `changes` say of the one there was.

    Raises TemplateFault, whose fact `faults` holds all that were found, or Invalid where not only Liquid is
    wrong. Of a template that declares variables, one that is used and not declared is a fault.
    """
    faults = _texts(changes, is_new=was is None)
    columns: dict[str, Any] = {
        name: (value or None) if name in ("description", "category", "subject", "text") else value
        for name, value in changes.items()
        if name not in ("variables", "mjml", "is_public")
    }
    if "is_public" in changes:
        columns["is_public"] = int(changes["is_public"])
    template_faults: list[TemplateFault] = []
    if was is None or not _CONTENT.isdisjoint(changes):
        variables = tuple(changes.get("variables", was.variables if was else ()))
        faults += _variables(variables)
        if "html" in changes or "mjml" in changes:
            columns |= _source(changes.get("mjml") or None, template_faults)
        before = {name: getattr(was, name) if was else None for name in ("subject", "html", "text", "mjml")}
        content = {**before, **columns}
        template_faults += _contents(content, variables)
        _refuse(faults, template_faults)
        columns |= _ready(content, variables)
    _refuse(faults, template_faults)
    return columns


def _source(mjml: str | None, faults: list[TemplateFault]) -> dict[str, Any]:
    """The columns that say what the HTML is made from; of MJML, the HTML too."""
    if mjml is None:
        return {"mjml": None}
    try:
        return {"mjml": mjml, "html": _compiled(mjml)}
    except TemplateFault as fault:
        faults.append(fault)
        return {"mjml": mjml}


def _ready(content: dict[str, Any], variables: Sequence[Variable]) -> dict[str, Any]:
    """The columns that follow from all the others."""
    kept = [each.to_json() for each in variables]
    subject, html, text = settle(content["subject"], content["html"], content["text"], variables)
    sources = [content[name] or "" for name in ("subject", "html", "text", "mjml")]
    return {
        "variables": kept,
        "size_bytes": sum(len(source.encode()) for source in sources) + len(json.dump_bytes(kept)),
        "ready_subject": None if subject == content["subject"] else subject,
        "ready_html": None if html == content["html"] else html,
        "ready_text": text,
    }


def fits(type_: VariableType, value: Any) -> bool:
    """Whether a variable of this type takes the value."""
    match type_:
        case VariableType.TEXT:
            return isinstance(value, _SCALARS)
        case VariableType.HTML:
            return isinstance(value, str)
        case VariableType.IMAGE:
            return isinstance(value, str) and _is_address(value)
        case VariableType.JSON:
            return True


WANTED = {
    VariableType.TEXT: "Input should be a text, a number, true or false",
    VariableType.HTML: "Input should be a text of HTML",
    VariableType.IMAGE: "Input should be an http or https address",
}


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    is_plain = len(value) <= URL_MAX_CHARS and not _CONTROL.search(value)
    return is_plain and parts.scheme in ("http", "https") and bool(parts.netloc)


def _texts(changes: Changes, *, is_new: bool) -> list[tuple[str, str]]:
    given: dict[str, Any] = dict(changes)
    faults = []
    for name, (least, most) in _TEXTS.items():
        compiled = name == "html" and bool(given.get("mjml"))
        if (name not in given and not (is_new and least)) or compiled:
            continue
        value: str = given.get(name) or ""
        if not least <= len(value.strip() if least else value) <= most or len(value) > most:
            faults.append((name, f"{name} must have {least} to {most} characters"))
        elif "\0" in value or (name in _OF_ONE_LINE and _CONTROL.search(value)):
            faults.append((name, f"{name} must not hold line breaks or control characters"))
    return faults


def _variables(variables: Sequence[Variable]) -> list[tuple[str, str]]:
    if len(variables) > VARIABLES_MAX:
        return [("variables", f"At most {VARIABLES_MAX} variables are declared")]
    faults: list[tuple[str, str]] = []
    seen: set[str] = set()
    for index, each in enumerate(variables):
        faults += [(f"variables.{index}.{field}", said) for field, said in _faults_of(each, seen)]
        seen.add(each.name)
    if len(json.dump_bytes([each.default for each in variables])) > DEFAULTS_MAX_BYTES:
        faults.append(("variables", f"Defaults have at most {DEFAULTS_MAX_BYTES} bytes together"))
    return faults


def _faults_of(variable: Variable, seen: set[str]) -> Iterable[tuple[str, str]]:
    name, default = variable.name, variable.default
    if not _VARIABLE_NAME.fullmatch(name) or len(name) > VARIABLE_NAME_MAX_CHARS:
        yield "name", "A variable's name has letters, digits, _ and - and begins with a letter or _"
    elif name in RESERVED:
        yield "name", f"{name} is filled in for every recipient and is not declared"
    elif name in seen:
        yield "name", f"{name} is declared twice"
    if default is None:
        return
    if variable.type is VariableType.JSON and not isinstance(default, _SCALARS):
        yield "default", WANTED[VariableType.TEXT]
    elif not fits(variable.type, default):
        yield "default", WANTED[variable.type]


def _compiled(mjml: str) -> str:
    """The MJML is parsed as a template first: its faults have their places in what its author wrote."""
    if "\0" in mjml:
        raise fault_at(mjml, mjml.index("\0"), "NUL is not allowed", field="mjml")
    render.compile(mjml, Escape.HTML, field="mjml")
    html = compile_mjml(mjml)
    if len(html) > COMPILED_MAX_CHARS:
        raise fault_at(mjml, 0, f"MJML may make at most {COMPILED_MAX_CHARS} characters", field="mjml")
    return html


def _contents(content: dict[str, Any], variables: Sequence[Variable]) -> list[TemplateFault]:
    declared = {each.name for each in variables}
    known = declared | OURS | CONTACT_NAMES
    faults = []
    for field, escape in (("subject", Escape.NONE), ("html", Escape.HTML), ("text", Escape.NONE)):
        if field == "html" and content["mjml"]:
            field = "mjml"
        source = content[field] or ""
        try:
            places = render.compile(source, escape, field=field).places
        except TemplateFault as fault:
            if field != "mjml":  # compiling told of it
                faults.append(fault)
            continue
        faults += [
            fault_at(source, index, f"{name} is not among the variables", field=field)
            for name, index in sorted(places.items(), key=lambda place: place[1])
            if declared and name not in known
        ]
    return faults


def _refuse(faults: Sequence[tuple[str, str]], template_faults: Sequence[TemplateFault]) -> None:
    if faults:
        placed = [
            (fault.facts["field"], "line {line}, column {column}: {message}".format_map(fault.facts))
            for fault in template_faults
        ]
        told = [{"field": field, "message": message} for field, message in (*faults, *placed)]
        raise Invalid(**told[0], faults=told)
    if template_faults:
        told = [dict(fault.facts) for fault in template_faults]
        raise TemplateFault(**told[0], faults=told)
