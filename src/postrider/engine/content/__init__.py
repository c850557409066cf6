"""Templates, links and pixel, unsubscribe headers, composing: from what was handed in to what is mailed."""

from postrider.engine.content.analytics import check_analytics_tags, default_tags, tag_link
from postrider.engine.content.calendar import make_calendar
from postrider.engine.content.check import Checked, check_campaign
from postrider.engine.content.compose import accept_parts, decode_parts, encode_parts, prepare, stored_mailbox
from postrider.engine.content.footer import Footer, footer_of, known_as
from postrider.engine.content.headers import check_custom_headers, check_subject
from postrider.engine.content.links import HIDDEN_LINK, resolve
from postrider.engine.content.model import Attachment, Mail, Parts, Personal, Prepared
from postrider.engine.content.raw import Adopted, adopt, links_of
from postrider.engine.content.view import View, view_of

__all__ = [
    "HIDDEN_LINK",
    "Adopted",
    "Attachment",
    "Checked",
    "Footer",
    "Mail",
    "Parts",
    "Personal",
    "Prepared",
    "View",
    "accept_parts",
    "adopt",
    "check_analytics_tags",
    "check_campaign",
    "check_custom_headers",
    "check_subject",
    "decode_parts",
    "default_tags",
    "encode_parts",
    "footer_of",
    "known_as",
    "links_of",
    "make_calendar",
    "prepare",
    "resolve",
    "stored_mailbox",
    "tag_link",
    "view_of",
]
