"""What a door hands in, and what it gets back."""

from dataclasses import field
from typing import Any

from postrider.engine.content import Footer
from postrider.engine.content.model import Attachment
from postrider.engine.errors import EngineError
from postrider.engine.messages import AttachmentRef, ContentKind, Role, Stream
from postrider.engine.principal import Principal
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId, new_id
from postrider.kit.record import record

RECIPIENTS_MAX = 1_000  # of one request; more is bulk


@record
class SendCommand:
    """One mail to a few recipients, as parts. A flag that is None is as the domain or organization has it."""

    to: list[Mailbox]
    subject: str
    html: str | None = None
    text: str | None = None
    from_: Mailbox | None = None  # None: noreply@ the domain
    domain: str | None = None  # None: of From, else the first verified one
    cc: list[Mailbox] = field(default_factory=list)
    bcc: list[Mailbox] = field(default_factory=list)
    reply_to: list[Mailbox] = field(default_factory=list)
    headers: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    stream: Stream = Stream.SHARED
    attachments: list[Attachment] = field(default_factory=list)
    calendar: str | None = None
    send_at: int | None = None
    footer: Footer | None = None  # where no part has its own way out
    analytics_tags: dict[str, str] = field(default_factory=dict)  # that its links carry


@record
class Recipient:
    address: str
    address_key: str
    role: Role
    values: dict[str, Any] | None = None  # what its copy is filled with, where that is its own


@record
class Prepared:
    """A content ready to be kept: all the work that needs no store is done."""

    kind: ContentKind
    from_: Mailbox | None
    domain: str | None
    subject: str
    headers: dict[str, Any]  # as Content.headers
    body: bytes
    links: list[str]
    attachments: list[tuple[AttachmentRef, bytes]]
    size_bytes: int
    tags: list[str]
    metadata: dict[str, Any] | None
    track_opens: bool | None
    track_clicks: bool | None
    stream: Stream


@record
class Submission:
    """A prepared content, who sends it, to whom; with an idempotency key, the fingerprint tells repeats."""

    principal: Principal
    prepared: Prepared
    recipients: list[Recipient]
    send_at: int | None = None
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    group_id: RowId = field(default_factory=new_id)
    values: dict[str, Any] | None = None  # what the variables of this one mail are filled with
    is_test: bool = False  # a test send: kept apart in reports
    is_whole: bool = False  # refused whole where one recipient may not be mailed, copies included


@record
class Accepted:
    address: str
    message_id: RowId


@record
class Refused:
    address: str
    error: EngineError


@record
class Receipt:
    """What was taken: the group's id, and each recipient in the order given."""

    group_id: RowId
    created_at: int
    accepted: list[Accepted]
    refused: list[Refused]
    is_replay: bool = False
    tracks_opens: bool = False  # whether the mail carries the pixel, and its links lead through us
    tracks_clicks: bool = False
