"""Complaints: feedback reports (RFC 5965), and the form without one that Outlook.com's loop has used."""

import ipaddress
import re

from postrider.engine.delivery.feedback.dsn import read_address, read_date
from postrider.engine.delivery.feedback.model import Complaint, FeedbackType
from postrider.engine.delivery.feedback.parts import Fields, Part, read_fields
from postrider.engine.delivery.feedback.tokens import message_id_of, returned_mail

KIND = "message/feedback-report"
AGENT_MAX_CHARS = 200

_TYPES = {str(each): each for each in FeedbackType} | {
    "complaint": FeedbackType.ABUSE,
    "opt-out-list": FeedbackType.OPT_OUT,
    "unsubscribe": FeedbackType.OPT_OUT,
    "phishing": FeedbackType.FRAUD,
}
_OUTLOOK_SENDER = re.compile(r"(?:^|<)staff@hotmail\.com>?\s*$", re.IGNORECASE)
_OUTLOOK_SUBJECT = re.compile(r"complaint about message from ([0-9A-Fa-f.:]{3,45})\s*$", re.IGNORECASE)


def read_complaint(mail: Part, token: str | None) -> Complaint | None:
    """The complaint in a mail, or None where it is no feedback report."""
    original = returned_mail(mail)
    part = mail.find(KIND)
    if part is not None:
        fields, _ = read_fields(part.octets().replace(b"\r\n", b"\n").lstrip())
        return Complaint(
            token=token,
            feedback_type=_TYPES.get(_first(fields, "feedback-type").lower(), FeedbackType.OTHER),
            user_agent=_first(fields, "user-agent")[:AGENT_MAX_CHARS] or None,
            source_ip=_address(_first(fields, "source-ip")),
            arrival_date=read_date(_first(fields, "arrival-date", "received-date")),
            original_recipient=read_address(_first(fields, "original-rcpt-to", "removal-recipient")),
            message_id=message_id_of(original),
        )
    return _outlook(mail, original, token) if original else None


def _outlook(mail: Part, original: bytes, token: str | None) -> Complaint | None:
    subject = _OUTLOOK_SUBJECT.match(mail.get("subject"))
    if subject is None or not _OUTLOOK_SENDER.search(mail.get("from")):
        return None
    fields, _ = read_fields(original)
    return Complaint(
        token=token,
        feedback_type=FeedbackType.ABUSE,
        user_agent=None,
        source_ip=_address(subject[1]),
        arrival_date=read_date(_first(fields, "date")),
        original_recipient=read_address(_first(fields, "x-hmxmroriginalrecipient")),
        message_id=message_id_of(original),
    )


def _first(fields: Fields, *names: str) -> str:
    """The value of the first of the names that there is, or an empty text."""
    values = dict(reversed(fields))
    return next((values[name] for name in names if values.get(name)), "")


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip(" []").lower().removeprefix("ipv6:")))
    except ValueError:
        return None
