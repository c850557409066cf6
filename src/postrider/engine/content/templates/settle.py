"""A template's content made ready to be mailed: what it declares told in Liquid, where it stands.

Whatever values fill it afterwards, it comes out as declared; composing needs to know nothing of templates.
Takes milliseconds to a second by its length: it is done once, when a template is saved.
"""

import re
from collections.abc import Callable, Sequence

from liquid import escape as html_escape

from postrider.engine.content.render import Escape, compile
from postrider.engine.content.templates.model import Content, Variable, VariableType
from postrider.engine.content.text import to_text
from postrider.engine.errors import TemplateFault

_SUBSTITUTE = "postrider_default"
_QUOTABLE = re.compile(r'[^"{}]*')
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
    try:
        compile(text, Escape.NONE)
    except TemplateFault:
        return ""
    return text


def _settled(source: str, escape: Escape, variables: Sequence[Variable]) -> str:
    """The source with each declared variable's default and kind told where it stands alone, else before all.

    `{{ name }}` becomes `{{ name | default: "…" }}`, which renders as fast.
    """
    used = compile(source, escape).variables
    prologue = []
    for variable in variables:
        filters = _filters(variable, escape)
        if variable.name not in used or not filters:
            continue
        slot = re.compile(rf"\{{\{{(-?)\s*{re.escape(variable.name)}\s*(-?)\}}\}}")
        chain = "".join(f" | {each}" for each in filters)
        stands_alone = variable.name not in compile(slot.sub("", source), escape).variables
        if stands_alone and _SUBSTITUTE not in chain:
            source = slot.sub(_with_chain(variable.name, chain), source)
        else:
            prologue.append(_assigned(variable, escape, chain))
    return "".join(prologue) + source


def _with_chain(name: str, chain: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{{{{{match[1]} {name}{chain} {match[2]}}}}}"


def _assigned(variable: Variable, escape: Escape, chain: str) -> str:
    name = variable.name
    substitute = ""
    if _SUBSTITUTE in chain:
        first, *more = _CHUNKS.findall(_written(variable, escape))
        chunks = " | ".join([_quoted(first), *(f"append: {_quoted(chunk)}" for chunk in more)])
        substitute = f"{{%- assign {_SUBSTITUTE} = {chunks} -%}}"
    return f"{substitute}{{%- assign {name} = {name}{chain} -%}}"


def _filters(variable: Variable, escape: Escape) -> list[str]:
    filters = []
    if variable.default not in (None, ""):
        filters.append(f"default: {_literal(variable, escape)}")
    if variable.type is VariableType.HTML:
        filters.append("safe" if escape is Escape.HTML else "plain_text")
    return filters


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
