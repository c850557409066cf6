"""Jobs and mails as couriers get them."""

from collections.abc import Iterable

from postrider.engine.content.model import Mail
from postrider.engine.delivery.model import Job
from postrider.engine.messages import Claimed, Content, Role, Stream
from postrider.engine.messages.model import ContentKind
from postrider.kit.address import address_key
from postrider.kit.ids import new_id


def make_job(to: str) -> Job:
    """A message to `to` before its first attempt."""
    message_id, content_id = new_id(), new_id()
    claimed = Claimed(
        organization_id=1,
        id=message_id,
        group_id=message_id,
        content_id=content_id,
        campaign_id=None,
        domain_id=None,
        lane_id=1,
        recipient=to,
        address_key=address_key(to),
        role=Role.TO,
        vars=None,
        stream=Stream.SHARED,
        created_at=0,
        attempts=0,
    )
    content = Content(
        organization_id=1,
        id=content_id,
        kind=ContentKind.PARTS,
        from_header="shop@x.example",
        from_address="shop@x.example",
        subject="hi",
        headers={},
        track_opens=False,
        track_clicks=False,
        unsubscribe_header=False,
        links=[],
        attachments=[],
        size_bytes=100,
        messages=1,
        created_at=0,
        expires_at=0,
    )
    return Job(claimed=claimed, content=content, prepared=None, keys=(), domain="x.example", is_active=True)


def make_mail(above: Iterable[tuple[str, bytes]] = ()) -> Mail:
    """A small mail, with further header lines above its own."""
    headers = [("From", b"From: shop@x.example"), ("Subject", b"Subject: hi")]
    return Mail([*above, *headers], b"body\r\n")
