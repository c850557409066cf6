"""Mail that a machine sends for a person (RFC 3834): known by its header or its subject."""

from postrider.engine.delivery.feedback.model import AutoReplyKind
from postrider.engine.delivery.feedback.parts import Part, read_words
from postrider.engine.delivery.feedback.tables import auto_replies

_RECEIPT = "message/disposition-notification"


def is_receipt(mail: Part) -> bool:
    """Whether it is a disposition notification (RFC 8098)."""
    return mail.find(_RECEIPT, "message/global-disposition-notification") is not None


def answers_for_a_person(mail: Part) -> AutoReplyKind | None:
    """CHALLENGE or VACATION where the mail names itself so, and nothing else."""
    kind = _named(mail)
    return None if kind is AutoReplyKind.OTHER else kind


def auto_reply_kind(mail: Part) -> AutoReplyKind | None:
    """What kind of automatic mail it is, or None where a person may have written it."""
    return _named(mail) or (AutoReplyKind.OTHER if is_automatic(mail) else None)


def is_automatic(mail: Part) -> bool:
    """Whether a header says that no person sent it."""
    submitted = mail.get("auto-submitted").partition(";")[0].strip().lower()
    precedence = {value.strip().lower() for value in (mail.get("precedence"), mail.get("x-precedence"))}
    return (
        submitted not in ("", "no")
        or not precedence.isdisjoint(auto_replies().precedence)
        or "autoresponder" in mail.get("x-post-messageclass").lower()
        or mail.get("preference").strip().lower() == "auto_reply"
        or bool(mail.get("x-auto-response-suppress"))
    )


def _named(mail: Part) -> AutoReplyKind | None:
    subject = read_words(mail.get("subject")).strip()
    names = {name for name, _ in mail.fields}
    for kind, headers, subjects in auto_replies().signs:
        if not names.isdisjoint(headers) or subjects.match(subject):
            return kind
    return None
