"""A campaign's content looked over before it is sent: all that is wrong at once, and what stays empty."""

from collections.abc import Collection
from dataclasses import dataclass

from postrider.engine.content import compose, headers
from postrider.engine.content.model import Parts
from postrider.engine.errors import EngineError, Invalid

OURS = frozenset(
    ["unsubscribe", "unsubscribe_url", "preferences", "preferences_url", "view_in_browser"]
)  # what every recipient has, whatever is known of him


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: the content can be sent where `faults` is empty."""

    faults: list[EngineError]  # Invalid(field, message), TemplateFault(field, message, line, column)
    unknown: list[str]  # merge fields that are none of the known ones, in the order of the alphabet


def check_campaign(subject: str, parts: Parts, *, known: Collection[str]) -> Checked:
    """`known`: names that recipients' values have; a field beyond them is told, and empty in the mail."""
    faults: list[EngineError] = []
    if not subject.strip():
        faults.append(Invalid(field="subject", message="A subject is required."))
    try:
        headers.check_subject(subject)
    except Invalid as fault:
        faults.append(fault)
    if not (parts.html or "").strip() and not (parts.text or "").strip():
        faults.append(Invalid(field="html", message="HTML or text is required."))
    templates, broken = compose.compile_parts(parts, subject)
    used = frozenset[str]().union(*(template.variables for template in templates))
    return Checked([*faults, *broken], sorted(used - OURS - set(known)))
