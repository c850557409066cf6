"""The records of mail on its way, and the closed sets they speak in."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from postrider.kit.ids import RowId
from postrider.kit.record import record


class Stream(IntEnum):
    """Served in this order within a site."""

    TRANSACTIONAL = 1
    SHARED = 2
    BROADCAST = 3


class Role(IntEnum):
    TO = 1
    CC = 2
    BCC = 3


class ContentKind(IntEnum):
    PARTS = 1  # html, text and attachments: we compose
    RAW = 2  # MIME as handed in: we adjust headers, links and pixel


class Status(IntEnum):
    QUEUED = 1
    DEFERRED = 2
    DELIVERED = 3
    BOUNCED = 4
    FAILED = 5
    SUPPRESSED = 6
    CANCELLED = 7

    @property
    def is_final(self) -> bool:
        return self > Status.DEFERRED


@dataclass(frozen=True, slots=True)
class AttachmentRef:
    """Where an attachment's bytes are, and how it is named in the mail."""

    hash: bytes  # SHA-256
    filename: str
    content_type: str
    cid: str | None  # Content-ID of an inline image
    size_bytes: int


@record
class Content:
    """All that is equal for every recipient of one acceptance."""

    organization_id: int
    id: RowId
    kind: ContentKind
    from_header: str  # a mailbox as text: Name <a@b>
    from_address: str
    subject: str
    # {"to": [mailbox text…], "cc": […], "reply_to": [mailbox text…], "custom": [[name, value]…],
    #  "to_each": true where every recipient stands alone in To (bulk)}
    headers: dict[str, Any]
    track_opens: bool
    track_clicks: bool
    unsubscribe_header: bool
    links: list[str]  # href values by index
    attachments: list[AttachmentRef]
    size_bytes: int
    messages: int
    created_at: int
    expires_at: int
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] | None = None


@record
class Claimed:
    """A message a worker holds: all that an attempt needs beside its content."""

    organization_id: int
    id: RowId
    group_id: RowId
    content_id: RowId
    campaign_id: RowId | None
    domain_id: RowId | None
    lane_id: int
    recipient: str
    address_key: str
    role: Role
    vars: dict[str, Any] | None
    stream: Stream
    created_at: int
    attempts: int  # before this one


@record
class Attempt:
    """One try to hand a message over, as it is kept."""

    organization_id: int
    message_id: RowId
    number: int
    started_at: int
    duration_ms: int
    outcome: str
    via: str
    host: str | None
    ip: str | None
    tls: str | None
    code: int | None
    enhanced: str | None
    reply: str | None
    rule: str | None
    bounce_class: str | None
    transcript: str | None
