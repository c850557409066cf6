"""The footer of a mail to many that has no way out of its own: who sent it, and how to get no more.

Pure; put in once, when a content is accepted. The law of many countries asks for a
postal address and a way out.
"""

import html as entities
import re
from dataclasses import dataclass

from postrider.engine.accounts import Settings
from postrider.engine.content import links
from postrider.engine.content.model import Parts
from postrider.engine.messages.model import Stream
from postrider.kit.address import Mailbox

_OWN = re.compile(r"\{\{-?\s*unsubscribe(?:_url)?\b")
_OPENS_TAG = re.compile(r"\{(?=[{%])")
_RULE = "-" * 40
# A ground of its own: grey on what the mail is painted with might not be read (7:1 here; WCAG 2.2, 1.4.6).
_BOX = (
    "margin:24px auto 0;padding:16px;max-width:600px;background:#ffffff;color:#595959;"
    "font:12px/1.6 Arial,Helvetica,sans-serif;text-align:center"
)
_LINK = "color:#595959;text-decoration:underline"


@dataclass(frozen=True, slots=True)
class Footer:
    """What a footer says: the brand, and the postal address line by line, empty where none is known."""

    brand: str
    postal_address: str = ""


def footer_of(settings: Settings, sender: Mailbox, stream: Stream) -> Footer | None:
    """An organization's footer for mail from this sender; None for transactional mail, which has none."""
    if stream is Stream.TRANSACTIONAL:
        return None
    return Footer(known_as(settings, sender), settings.postal_address)


def known_as(settings: Settings, sender: Mailbox) -> str:
    """What recipients know an organization by: its brand, else who their mail is from."""
    return settings.brand_name or sender.name or sender.domain


def with_footer(parts: Parts, footer: Footer) -> Parts:
    """The parts with the footer in each that names no unsubscribe link: before `</body>`, or at the end.

    A text part that is made of the HTML later has what the HTML has.
    """
    html, text = parts.html, parts.text
    if html is not None and not _OWN.search(html):
        end = links.body_end(html)
        html = html[:end] + _as_html(footer) + html[end:]
    if text is not None and not _OWN.search(text):
        text = text.rstrip() + _as_text(footer)
    return Parts(html, text, parts.calendar)


def _as_html(footer: Footer) -> str:
    brand, *address = [entities.escape(line) for line in _lines(footer)]
    lines = [f"<strong>{brand}</strong>", *address]
    link = f'<a href="{{{{unsubscribe}}}}" style="{_LINK}">Unsubscribe</a>'
    return f'<div style="{_BOX}">{"<br>".join([*lines, link])}</div>'


def _as_text(footer: Footer) -> str:
    return "\n".join(["", "", _RULE, *_lines(footer), "Unsubscribe: {{unsubscribe}}", ""])


def _lines(footer: Footer) -> list[str]:
    """The brand and the address; braces that would open a template tag are set apart."""
    lines = [footer.brand, *footer.postal_address.splitlines()]
    return [_OPENS_TAG.sub("{ ", line.strip()) for line in lines if line.strip()]
