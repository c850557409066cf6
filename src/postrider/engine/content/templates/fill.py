"""Templates for senders: values checked against what is declared, content handed out, previews filled."""

from collections.abc import Mapping
from typing import Any

from postrider.db.database import Tx
from postrider.engine.content.check import OURS
from postrider.engine.content.render import Escape, compile
from postrider.engine.content.templates import store
from postrider.engine.content.templates.check import WANTED, fits
from postrider.engine.content.templates.find import seen
from postrider.engine.content.templates.model import (
    Content,
    Preview,
    Template,
    Unfit,
)
from postrider.engine.content.text import to_text
from postrider.engine.errors import Invalid
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

Values = Mapping[str, Any]
NOWHERE = "#"  # where the links of a preview lead that are each recipient's own


def content_of(tx: Tx, principal: Principal, template_id: RowId) -> Content:
    """The content for a campaign made from a template, and one more use counted. Raises NotFound.

    Asks no scope of its own: who may write campaigns may take the templates that his organization sees.
    """
    content = seen(tx, principal, template_id).content
    count_use(tx, principal, template_id)
    return content


def count_use(tx: Tx, principal: Principal, template_id: RowId) -> None:
    """Of an organization's own template; of another's nothing is counted."""
    store.count_use(tx, principal.organization_id, template_id)


def unfit(template: Template, values: Values) -> list[Unfit]:
    """What is wrong with values, in the order declared; those that nobody declared are let be."""
    found = []
    for variable in template.variables:
        value = values.get(variable.name)
        if value is None or value == "":
            if variable.required:
                found.append(Unfit(variable.name, f"{variable.name} is required", is_missing=True))
        elif not fits(variable.type, value):
            found.append(Unfit(variable.name, WANTED[variable.type], is_missing=False))
    return found


def resolve(template: Template, values: Values) -> Content:
    """The content for one mail that these values fill. Raises as require_fit."""
    require_fit(template, values)
    return template.content


def require_fit(template: Template, values: Values) -> None:
    """Raises Invalid with all that unfit() finds, its fields `variables.NAME`."""
    told = [{"field": f"variables.{each.name}", "message": each.message} for each in unfit(template, values)]
    if told:
        raise Invalid(**told[0], faults=told)


def whole(template: Template, values: Values) -> Content:
    """As resolve, filled already, for mail whose recipients share one text: what is each one's own stays.

    Raises Invalid, TemplateFault.
    """
    ours = {name: f"{{{{{name}}}}}" for name in OURS}
    return _rendered(resolve(template, values), {**values, **ours})


def preview(template: Template, values: Values) -> Preview:
    """How it looks with these values, which unfit() has looked at; raises TemplateFault past a limit."""
    filled = {**dict.fromkeys(OURS, NOWHERE), **values}
    content = template.content if template.text is not None else template.content._replace(text="")
    shown = _rendered(content, filled)
    text = to_text(shown.html) if template.text is None else shown.text
    return Preview(shown.subject, shown.html, text, _missing(template, filled))


def _rendered(content: Content, values: Values) -> Content:
    subject, html, text = content
    return Content(
        subject=subject and compile(subject, Escape.NONE, field="subject").render(values),
        html=compile(html, Escape.HTML, field="html").render(values),
        text=compile(text, Escape.NONE, field="text").render(values),
    )


def _missing(template: Template, values: Values) -> tuple[str, ...]:
    """What is used and has neither value nor default, in alphabetical order."""
    sources = (template.subject or "", template.html, template.text or "")
    used = frozenset[str]().union(*(compile(source, Escape.NONE).variables for source in sources))
    standing = {each.name for each in template.variables if each.default is not None}
    return tuple(sorted(name for name in used - standing if values.get(name) in (None, "")))
