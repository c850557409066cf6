"""Headers that senders bring along, checked; and the ones every recipient's copy has of its own."""

from collections.abc import Iterable
from typing import Any

from postrider.engine.content.model import Personal
from postrider.engine.errors import Invalid
from postrider.kit import mime
from postrider.kit.address import Mailbox, ascii_domain
from postrider.kit.ids import to_uuid

CUSTOM_MAX = 50
VALUE_MAX_CHARS = 2_000

_STRUCTURAL = frozenset(
    ["from", "sender", "to", "cc", "bcc", "subject", "date", "message-id", "return-path", "received"]
) | frozenset(["mime-version", "dkim-signature", "authentication-results", "delivered-to", "x-stream-type"])
_STRUCTURAL_PREFIXES = ("content-", "resent-", "arc-", "received-")

HeaderLine = tuple[str, bytes]


def check_custom_headers(headers: dict[str, Any] | list[Any] | None) -> list[list[str]]:
    """`{name: value}`, `[{name, value}…]` or `[[name, value]…]` as `[[name, value]…]`; raises Invalid.

    Refused are what mail is built of (From, To, Subject, Content-*, …), names outside RFC 5322, line breaks.
    A List-Unsubscribe, List-Unsubscribe-Post, Reply-To or Feedback-ID given here stands in place of ours.
    """
    checked: list[list[str]] = []
    for name, value in _pairs(headers):
        if len(checked) == CUSTOM_MAX:
            raise Invalid(field="headers", message=f"There are more than {CUSTOM_MAX} headers.")
        checked.append(_checked(name, value))
    return checked


def check_subject(subject: str) -> str:
    """The subject itself; raises Invalid for line breaks and NUL."""
    return _checked("Subject", subject, structural=frozenset())[1]


def custom_lines(custom: Iterable[Iterable[str]]) -> list[HeaderLine]:
    return [(name, mime.text_field(name, value)) for name, value in custom]


def own_lines(personal: Personal, *, unsubscribe: bool, present: frozenset[str]) -> list[HeaderLine]:
    """Feedback-ID, and List-Unsubscribe for one click (RFC 8058), but for `present` (lower case)."""
    lines: list[HeaderLine] = []
    if personal.feedback_id and "feedback-id" not in present:
        lines.append(("Feedback-ID", mime.text_field("Feedback-ID", personal.feedback_id)))
    if unsubscribe and "list-unsubscribe" not in present:
        value = f"<{unsubscribe_url(personal)}>"
        if personal.unsubscribe_mailto:
            value += f", <mailto:{personal.unsubscribe_mailto}>"
        lines.append(("List-Unsubscribe", mime.fold("List-Unsubscribe", value)))
        if "list-unsubscribe-post" not in present:
            lines.append(_ONE_CLICK)
    return lines


def unsubscribe_url(personal: Personal) -> str:
    return f"{personal.tracking_url}/track/u/{personal.token}"


def preferences_url(personal: Personal) -> str:
    return f"{personal.tracking_url}/track/p/{personal.token}"


def view_url(personal: Personal) -> str:
    return f"{personal.tracking_url}/track/v/{personal.token}"


def message_id(group_id: bytes, domain: str) -> str:
    """The Message-ID that all copies of one request share."""
    return f"<{to_uuid(group_id)}@{ascii_domain(domain)}>"


def to_line(recipient: str) -> HeaderLine:
    return ("To", mime.address_field("To", [Mailbox(recipient)]))


_ONE_CLICK: HeaderLine = ("List-Unsubscribe-Post", b"List-Unsubscribe-Post: List-Unsubscribe=One-Click")


def _pairs(headers: dict[str, Any] | list[Any] | None) -> Iterable[tuple[Any, Any]]:
    if headers is None:
        return
    for item in headers.items() if isinstance(headers, dict) else headers:
        match item:
            case {"name": name, "value": value}:
                yield name, value
            case [name, value]:
                yield name, value
            case _:
                raise Invalid(field="headers", message="A header is a name and a value.")


def _checked(name: Any, value: Any, *, structural: frozenset[str] = _STRUCTURAL) -> list[str]:
    field = f"headers.{name}" if structural else "subject"
    if not isinstance(name, str) or not isinstance(value, str):
        raise Invalid(field="headers", message="A header's name and value are texts.")
    if len(value) > VALUE_MAX_CHARS:
        raise Invalid(field=field, message=f"The value is longer than {VALUE_MAX_CHARS} characters.")
    try:
        mime.text_field(name, value)
    except ValueError as error:
        raise Invalid(field=field, message=f"The header cannot be sent: {error}.") from None
    if name.lower() in structural or (structural and name.lower().startswith(_STRUCTURAL_PREFIXES)):
        raise Invalid(field=field, message=f"The header {name} is not the sender's to set.")
    return [name, value]
