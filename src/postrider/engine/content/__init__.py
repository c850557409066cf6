"""Templates, links and pixel, unsubscribe headers, composing: from what was handed in to what is mailed."""

from postrider.engine.content.calendar import make_calendar
from postrider.engine.content.compose import accept_parts, decode_parts, encode_parts, prepare, stored_mailbox
from postrider.engine.content.headers import check_custom_headers, check_subject
from postrider.engine.content.links import HIDDEN_LINK, resolve
from postrider.engine.content.model import Attachment, Mail, Parts, Personal, Prepared
from postrider.engine.content.raw import Adopted, adopt, links_of

__all__ = [
    "HIDDEN_LINK",
    "Adopted",
    "Attachment",
    "Mail",
    "Parts",
    "Personal",
    "Prepared",
    "accept_parts",
    "adopt",
    "check_custom_headers",
    "check_subject",
    "decode_parts",
    "encode_parts",
    "links_of",
    "make_calendar",
    "prepare",
    "resolve",
    "stored_mailbox",
]
