"""Contents and recipients with everything filled in, of which a test names what it is about."""

import hashlib
from typing import Any

from postrider.engine.content import compose
from postrider.engine.content.model import Attachment, Mail, Parts, Personal
from postrider.engine.messages.model import AttachmentRef, Content, ContentKind, Role
from postrider.kit.ids import new_id

AT_MS = 1_768_739_696_000  # 2026-01-18T12:34:56Z
TOKEN = "tok_" + "a" * 60
TRACKING_URL = "https://track.example.test"


def make_content(**given: Any) -> Content:
    defaults: dict[str, Any] = {
        "organization_id": 1,
        "id": new_id(),
        "kind": ContentKind.PARTS,
        "from_header": "Shop <shop@example.test>",
        "from_address": "shop@example.test",
        "subject": "Hello",
        "headers": {"to": ["reader@example.test"]},
        "track_opens": False,
        "track_clicks": False,
        "unsubscribe_header": False,
        "links": [],
        "attachments": [],
        "size_bytes": 1,
        "messages": 1,
        "created_at": AT_MS,
        "expires_at": AT_MS,
    }
    return Content(**{**defaults, **given})


def make_personal(**given: Any) -> Personal:
    defaults: dict[str, Any] = {
        "message_id": new_id(),
        "group_id": bytes(range(16)),
        "recipient": "reader@example.test",
        "role": Role.TO,
        "vars": None,
        "token": TOKEN,
        "tracking_url": TRACKING_URL,
        "unsubscribe_mailto": f"unsubscribe+{TOKEN}@example.test",
        "domain": "example.test",
        "feedback_id": "c1:o1:broadcast:postrider",
        "date_ms": AT_MS,
    }
    return Personal(**{**defaults, **given})


def compose_parts(
    parts: Parts, personal: Personal | None = None, *, files: list[Attachment] | None = None, **given: Any
) -> Mail:
    """Parts as they go from accepting to one recipient's mail."""
    merge = bool(given.get("headers", {}).get("merge"))
    parts, found = compose.accept_parts(parts, merge=merge, track_clicks=bool(given.get("track_clicks")))
    files = files or []
    refs = [
        AttachmentRef(_hash(file), file.filename, file.content_type, file.cid, len(file.body))
        for file in files
    ]
    content = make_content(**{"links": found, "attachments": refs, **given})
    stored = compose.encode_parts(parts)
    prepared = compose.prepare(content, stored, {_hash(file): file.body for file in files})
    return prepared.compose(personal or make_personal())


def _hash(file: Attachment) -> bytes:
    return hashlib.sha256(file.body).digest()
