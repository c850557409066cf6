"""A template's content made ready to be mailed: what it declares told in Liquid, where it stands.

Whatever values fill it afterwards, it comes out as declared; composing needs to know nothing of templates.
Takes milliseconds to a second by its length: it is done once, when a template is saved.
"""

import re
from collections.abc import Sequence

from liquid import escape as html_escape

from postrider.engine.content.render import Escape, compile
from postrider.engine.content.templates.model import Content, Variable, VariableType
from postrider.engine.content.text import to_text
from postrider.engine.errors import TemplateFault

_SUBSTITUTE = "postrider_default"
_QUOTABLE = re.compile(r'[^"{}]*')
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_NAME = r"[A-Za-z_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_WORD = re.compile(_NAME)
_SLOT = re.compile(rf"\{{\{{(-?)\s*({_NAME})\s*(-?)\}}\}}")
_CHUNKS = re.compile(r'"+|[{}%]|[^"{}%]+')


def settle(subject: str | None, html: str, text: str | None, variables: Sequence[Variable]) -> Content:
    """The sources, which compile, with defaults and raw HTML told; a text is derived where there is none."""
    return Content(
        subject=subject and _settled(subject, Escape.NONE, variables),
        html=_settled(html, Escape.HTML, variables),
        text=_settled(_text_of(html) if text is None else text, Escape.NONE, variables),
    )


def _text_of(html: str) -> str:
    """The HTML's text as a template; none where its logic does not hold without the tags around it."""
    text = to_text(html)
    if "{%" not in text:
        return text
    try:
        compile(text, Escape.NONE)
    except TemplateFault:
        return ""
    return text


def _settled(source: str, escape: Escape, variables: Sequence[Variable]) -> str:
    """The source with each declared variable's default and kind told where it stands alone, else before all.

    `{{ name }}` becomes `{{ name | default: "…" }}`, which renders as fast.
    """
    chains = {each.name: chain for each in variables if (chain := _chain(each, escape))}
    if not chains:
        return source
    alone, elsewhere = _names(source)
    told = {
        name: chain for name, chain in chains.items() if name not in elsewhere and _SUBSTITUTE not in chain
    }
    prologue = [
        _assigned(each, escape, chains[each.name])
        for each in variables
        if each.name in chains and each.name not in told and each.name in alone | elsewhere
    ]

    def filled(match: re.Match[str]) -> str:
        before, name, after = match.groups()
        return f"{{{{{before} {name}{told[name]} {after}}}}}" if name in told else match.group()

    return "".join(prologue) + (_SLOT.sub(filled, source) if told else source)


def _names(source: str) -> tuple[set[str], set[str]]:
    """Names that stand alone in a tag, and all words of other tags; of what is raw nothing stands alone."""
    alone: set[str] = set()
    elsewhere: set[str] = set()
    for tag in _TAG.findall(source):
        slot = _SLOT.fullmatch(tag)
        if slot is not None:
            alone.add(slot[2])
        else:
            elsewhere.update(_WORD.findall(tag))
    return (set(), alone | elsewhere) if "raw" in elsewhere else (alone, elsewhere)


def _assigned(variable: Variable, escape: Escape, chain: str) -> str:
    name = variable.name
    substitute = ""
    if _SUBSTITUTE in chain:
        first, *more = _CHUNKS.findall(_written(variable, escape))
        chunks = " | ".join([_quoted(first), *(f"append: {_quoted(chunk)}" for chunk in more)])
        substitute = f"{{%- assign {_SUBSTITUTE} = {chunks} -%}}"
    return f"{substitute}{{%- assign {name} = {name}{chain} -%}}"


def _chain(variable: Variable, escape: Escape) -> str:
    """The filters that tell it; none where it has no default and is no HTML."""
    chain = "" if variable.default in (None, "") else f" | default: {_literal(variable, escape)}"
    if variable.type is VariableType.HTML:
        chain += " | safe" if escape is Escape.HTML else " | plain_text"
    return chain


def _literal(variable: Variable, escape: Escape) -> str:
    match variable.default:
        case bool() as switch:
            return "true" if switch else "false"
        case int() | float() as number:
            return repr(number)
        case _:
            written = _written(variable, escape)
            return f'"{written}"' if _QUOTABLE.fullmatch(written) else _SUBSTITUTE


def _written(variable: Variable, escape: Escape) -> str:
    """A default text as a literal stands for it: literals are not escaped again."""
    text = str(variable.default)
    return html_escape(text) if escape is Escape.HTML and variable.type is not VariableType.HTML else text


def _quoted(chunk: str) -> str:
    return f"'{chunk}'" if '"' in chunk else f'"{chunk}"'
