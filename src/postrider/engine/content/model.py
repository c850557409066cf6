"""What composing takes and gives."""

from dataclasses import dataclass
from typing import Any, Protocol

from postrider.engine.messages.model import Content, Role
from postrider.kit.ids import RowId
from postrider.kit.record import record


@dataclass(frozen=True, slots=True)
class Attachment:
    """Bytes to be carried: an attachment, or with `cid` an image that the HTML shows."""

    filename: str
    content_type: str
    body: bytes
    cid: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The body of a content of kind `parts`, as kept in content_bodies (JSON of the three)."""

    html: str | None = None
    text: str | None = None
    calendar: str | None = (
        None  # an iCalendar object (RFC 5545), sent as text/calendar; its METHOD stands in it
    )


@record
class Personal:
    """What one recipient's copy has of its own."""

    message_id: RowId
    group_id: RowId  # makes the Message-ID: the copies of one request share it
    recipient: str
    role: Role
    vars: dict[str, Any] | None
    token: str  # the message's sealed token, for /track/o/{token}, /track/c/{token}.{link}, /track/u/{token}
    tracking_url: str  # https://host, no slash at the end
    unsubscribe_mailto: str | None  # unsubscribe+token@host, or none
    domain: str  # the sending domain, for Message-ID
    feedback_id: str  # value of Feedback-ID
    date_ms: int


@record
class Mail:
    """A composed message, ready to sign and send: header lines without CRLF, the body with CRLF line ends."""

    headers: list[tuple[str, bytes]]  # (name as written, the whole field, folded with CRLF and a space)
    body: bytes
    needs_smtputf8: bool = False  # a header holds raw UTF-8 (an address that has no ASCII form)
    needs_8bitmime: bool = False

    def as_bytes(self) -> bytes:
        return b"\r\n".join([line for _, line in self.headers]) + b"\r\n\r\n" + self.body


class Prepared(Protocol):
    """A content made ready once for all its recipients; safe to use from several threads at once."""

    def compose(self, personal: Personal) -> Mail:
        """One recipient's copy. Raises TemplateFault where its variables pass a limit."""


__all__ = ["Attachment", "Content", "Mail", "Parts", "Personal", "Prepared"]
