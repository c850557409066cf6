"""A mail as its recipient may look at it in a browser: made anew of what is stored.

Shown are only mails that offer it (`{{view_in_browser}}`): a click's link that was passed on must not open
a mail whose sender never thought of it, such as one with a code to log in by.
"""

import re
from typing import Any

from postrider.db.database import Tx
from postrider.engine import accounts, messages
from postrider.engine.content.compose import decode_parts, page_of, stored_mailbox
from postrider.engine.content.footer import known_as
from postrider.engine.content.model import Attachment, Parts, Personal
from postrider.engine.messages import AttachmentRef, Content, ContentKind, Role
from postrider.engine.messages.personal import ERASED
from postrider.kit.ids import RowId
from postrider.kit.record import record

IMAGES_MAX_BYTES = 10 * 1024 * 1024  # of one mail, that its page shows
_OFFER = re.compile(r"\{\{-?\s*view_in_browser\b")


@record
class View:
    """What a page may show to whoever holds the link; `parts` is None where the mail is kept no longer."""

    sender: str
    color: str  # #rrggbb of the organization, or empty
    content: Content
    parts: Parts | None
    images: list[Attachment]  # that the HTML names by Content-ID
    message_id: RowId
    group_id: RowId
    recipient: str
    role: Role
    vars: dict[str, Any] | None

    def html(self, *, tracking_url: str, token: str) -> str:
        """The recipient's copy, links tracked as in his mail, without the pixel; only where `parts` are kept.

        Raises TemplateFault where its variables pass a limit.
        """
        assert self.parts is not None
        personal = Personal(
            message_id=self.message_id,
            group_id=self.group_id,
            recipient=self.recipient,
            role=self.role,
            vars=self.vars,
            token=token,
            tracking_url=tracking_url,
            unsubscribe_mailto=None,
            domain="",
            feedback_id="",
            date_ms=0,
        )
        return page_of(self.content, self.parts, personal)


def view_of(tx: Tx, organization_id: int, message_id: RowId) -> View | None:
    """None where the message, or its organization, is kept no longer, or the mail offers no such view."""
    row = messages.one(tx, organization_id, message_id)
    organization = accounts.organization(tx, organization_id)
    if row is None or organization is None:
        return None
    key = [(organization_id, RowId(row.content_id))]
    content, body = messages.contents(tx, key)[row.content_id], messages.bodies(tx, key).get(row.content_id)
    if content.kind is ContentKind.RAW:
        return None
    parts = None if body is None or row.address_key == ERASED else decode_parts(body)
    if parts is not None and not _OFFER.search(f"{parts.html or ''}\n{parts.text or ''}"):
        return None
    return View(
        sender=known_as(organization.settings, stored_mailbox(row.from_header)),
        color=organization.settings.brand_color,
        content=content,
        parts=parts,
        images=_images(tx, content) if parts is not None else [],
        message_id=message_id,
        group_id=RowId(row.group_id),
        recipient=row.recipient,
        role=Role(row.role),
        vars=row.vars,
    )


def _images(tx: Tx, content: Content) -> list[Attachment]:
    """The images in the HTML, as far as IMAGES_MAX_BYTES goes."""
    shown: list[AttachmentRef] = []
    room = IMAGES_MAX_BYTES
    for ref in content.attachments:
        if ref.cid and ref.size_bytes <= room:
            shown.append(ref)
            room -= ref.size_bytes
    bodies = messages.load_attachments(tx, [(content.organization_id, ref.hash) for ref in shown])
    return [
        Attachment(ref.filename, ref.content_type, bodies[ref.hash], ref.cid)
        for ref in shown
        if ref.hash in bodies
    ]
