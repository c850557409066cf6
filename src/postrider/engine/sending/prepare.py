"""From what a door hands in to a content ready to be kept. Pure: no store, no network."""

import hashlib
from collections.abc import Iterable

from postrider.engine import content
from postrider.engine.content.model import Attachment, Parts
from postrider.engine.errors import Invalid, TooLarge
from postrider.engine.messages import AttachmentRef, ContentKind, Role, Stream
from postrider.engine.sending.model import RECIPIENTS_MAX, Prepared, Recipient, SendCommand
from postrider.kit.address import Mailbox, address_key, parse_mailbox

SUBJECT_MAX_CHARS = 998
MESSAGE_MAX_BYTES = 25 * 1024 * 1024
ATTACHMENTS_MAX = 50


def prepare(command: SendCommand, *, merge: bool = False) -> tuple[Prepared, list[Recipient]]:
    """A command of parts, checked; `merge` renders variables. Raises Invalid, TemplateFault or TooLarge."""
    _check(command)
    parts, links = content.accept_parts(
        Parts(command.html, command.text, command.calendar),
        subject=command.subject,
        merge=merge,
        track_clicks=command.track_clicks is not False,
        footer=command.footer,
    )
    body = content.encode_parts(parts)
    attachments = [_referred(attachment) for attachment in command.attachments]
    size_bytes = len(body) + sum(ref.size_bytes for ref, _ in attachments)
    if size_bytes > MESSAGE_MAX_BYTES:
        raise TooLarge(noun="message", limit_bytes=MESSAGE_MAX_BYTES)
    headers = {
        "to": [header_text(mailbox) for mailbox in command.to],
        "cc": [header_text(mailbox) for mailbox in command.cc],
        "reply_to": [header_text(mailbox) for mailbox in command.reply_to],
        "custom": content.check_custom_headers(command.headers),
        "merge": merge,
        "to_each": merge,
    }
    if command.analytics_tags:
        headers["analytics_tags"] = content.check_analytics_tags(command.analytics_tags)
    prepared = Prepared(
        kind=ContentKind.PARTS,
        from_=command.from_,
        domain=command.domain,
        subject=command.subject,
        headers=headers,
        body=body,
        links=links,
        attachments=attachments,
        size_bytes=size_bytes,
        tags=command.tags,
        metadata=command.metadata,
        track_opens=command.track_opens,
        track_clicks=command.track_clicks,
        stream=command.stream,
    )
    return prepared, recipients_of(command.to, command.cc, command.bcc)


def prepare_raw(
    adopted: content.Adopted, envelope_recipients: Iterable[str], stream: Stream
) -> tuple[Prepared, list[Recipient]]:
    """MIME as a program handed it in; who is not in To or Cc is a blind copy."""
    to, cc = (
        {address_key(parse_mailbox(text).address) for text in texts} for texts in (adopted.to, adopted.cc)
    )
    recipients: dict[str, Recipient] = {}
    for address in envelope_recipients:
        key = address_key(address)
        role = Role.TO if key in to else Role.CC if key in cc else Role.BCC
        recipients.setdefault(key, Recipient(address, key, role))
    prepared = Prepared(
        kind=ContentKind.RAW,
        from_=adopted.mailbox,
        domain=None,
        subject=_kept_subject(adopted.subject),
        headers={"to": adopted.to, "cc": adopted.cc},
        body=adopted.body,
        links=content.links_of(adopted.body),
        attachments=[],
        size_bytes=len(adopted.body),
        tags=adopted.tags,
        metadata=None,
        track_opens=None,
        track_clicks=None,
        stream=stream,
    )
    return prepared, list(recipients.values())


def recipients_of(to: list[Mailbox], cc: list[Mailbox], bcc: list[Mailbox]) -> list[Recipient]:
    """Envelope recipients in order, each address once under its first role."""
    found: dict[str, Recipient] = {}
    for role, mailboxes in ((Role.TO, to), (Role.CC, cc), (Role.BCC, bcc)):
        for mailbox in mailboxes:
            key = address_key(mailbox.address)
            found.setdefault(key, Recipient(mailbox.address, key, role))
    return list(found.values())


def header_text(mailbox: Mailbox) -> str:
    """A mailbox as one text that parse_mailbox reads back."""
    if not mailbox.name:
        return mailbox.address
    quoted = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{mailbox.address}>'


def _kept_subject(subject: str) -> str:
    """A subject as the lists show it; the mail keeps its own."""
    return "".join(char if char.isprintable() else " " for char in subject)[:SUBJECT_MAX_CHARS]


def _check(command: SendCommand) -> None:
    if not command.to:
        raise Invalid(field="to", message="at least one recipient is required")
    if len(command.to) + len(command.cc) + len(command.bcc) > RECIPIENTS_MAX:
        raise Invalid(field="to", message=f"at most {RECIPIENTS_MAX} recipients")
    if any(ord(char) < 32 and char != "\t" for char in command.subject) or "\x7f" in command.subject:
        raise Invalid(field="subject", message="subject must not hold line breaks or control characters")
    if len(command.subject) > SUBJECT_MAX_CHARS:
        raise Invalid(field="subject", message=f"subject must have at most {SUBJECT_MAX_CHARS} characters")
    if not command.html and not command.text:
        raise Invalid(field="html", message="html or text is required")
    if len(command.attachments) > ATTACHMENTS_MAX:
        raise Invalid(field="attachments", message=f"at most {ATTACHMENTS_MAX} attachments")


def _referred(attachment: Attachment) -> tuple[AttachmentRef, bytes]:
    ref = AttachmentRef(
        hash=hashlib.sha256(attachment.body).digest(),
        filename=attachment.filename,
        content_type=attachment.content_type,
        cid=attachment.cid,
        size_bytes=len(attachment.body),
    )
    return ref, attachment.body
