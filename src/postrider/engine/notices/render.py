"""A notice's subject, text and HTML from its templates. Pure; what people called things is escaped."""

from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from postrider.engine.notices.model import FORMS, Letterhead, Notice
from postrider.kit import clock

NAME_MAX_CHARS = 200  # of what a subject shows
_TEMPLATES = Path(__file__).parent / "templates"
_pages = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,  # a fact that is missing is a fault of ours, and found by the tests
    trim_blocks=True,
    lstrip_blocks=True,
)


class Written(NamedTuple):
    subject: str
    text: str
    html: str


def write(letterhead: Letterhead, notice: Notice, organization: str) -> Written:
    """`organization` is the name of the one it is about."""
    form = FORMS[notice.kind]
    facts = {"organization": organization, "base_url": letterhead.base_url, **notice.facts}
    subject = _pages.from_string(form.subject).render(**facts)
    facts["subject"] = subject
    return Written(
        _one_line(subject),
        _pages.get_template(f"{notice.kind.value}.txt").render(**facts),
        _pages.get_template(f"{notice.kind.value}.html").render(**facts),
    )


def _one_line(subject: str) -> str:
    """Names may hold anything; a subject holds no line break and no control character."""
    return "".join(char if char.isprintable() else " " for char in subject)[:NAME_MAX_CHARS]


def _moment(at: int) -> str:
    return clock.to_datetime(at).strftime("%-d %B %Y, %H:%M UTC")


def _percent(rate: float) -> str:
    return f"{rate * 100:.2f} %"


_pages.filters["moment"] = _moment
_pages.filters["percent"] = _percent
