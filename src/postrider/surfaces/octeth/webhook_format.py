"""How webhooks are worded here (contract: webhooks): events as GET /api/v1/events, with domain and tags."""

import hmac
from collections.abc import Callable, Mapping
from typing import Any

from postrider.engine.journal import EventKind
from postrider.engine.webhooks import Format, Occasion, Rendered, Sample
from postrider.kit import clock, json
from postrider.kit.ids import RowId, id_time, to_uuid
from postrider.surfaces.octeth.events import details, shown_at
from postrider.surfaces.octeth.keys import USER_LABEL
from postrider.surfaces.octeth.vocabulary import EVENTS

NAMES = tuple(word for word in EVENTS.values() if word is not None)
WORDS = {kind: (word,) for kind, word in EVENTS.items() if word is not None}
SIGNATURE, EVENT, DELIVERY = "X-Octeth-Signature", "X-Octeth-Event", "X-Octeth-Delivery"
Facts = dict[str, Any]


def render(occasion: Occasion) -> Rendered | None:
    """An event of a message; None where the message is no longer kept."""
    event, message, domain = occasion.event, occasion.message, occasion.domain
    if message is None:
        return None
    more = _MORE.get(event.kind, _nothing)(event.data or {})
    return _rendered(
        occasion.word,
        event.id,
        event.at,
        {
            "MessageId": to_uuid(message.group_id),
            "Recipient": message.recipient,
            "CampaignId": None if message.campaign_id is None else to_uuid(message.campaign_id),
            "DomainID": None if domain is None else domain.number,
            "Domain": None if domain is None else domain.name,
            "Tags": message.tags or [],
            "Details": {**details(event, message), **more},
        },
    )


def sample(asked: Sample) -> Rendered:
    """A made-up event of a made-up mail."""
    told: Facts = {
        "MessageId": to_uuid(asked.event_id),
        "Recipient": "recipient@example.com",
        "CampaignId": None,
        "DomainID": None,
        "Domain": "example.com",
        "Tags": [],
        "Details": {},
    }
    return _rendered(asked.word, asked.event_id, asked.at, told)


def sign(secret: bytes, body: bytes, attempt_id: RowId) -> dict[str, str]:
    """`t=<unix seconds>,v1=<hex of HMAC-SHA256 over t, a dot and the body>`; t: when it was made."""
    at = str(id_time(attempt_id) // clock.SECOND)
    digest = hmac.digest(secret, at.encode() + b"." + body, "sha256").hex()
    return {SIGNATURE: f"t={at},v1={digest}"}


def _rendered(word: str, event_id: RowId, at: int, told: Facts) -> Rendered:
    named = {"EventId": to_uuid(event_id), "EventType": word, "EventTimestamp": shown_at(at)}
    headers = {EVENT: word, DELIVERY: named["EventId"]}
    return Rendered(headers, json.dump_bytes({**named, **told}))


def _nothing(data: Facts) -> Facts:
    return {}


# What a webhook tells beyond the event list.
_MORE: Mapping[EventKind, Callable[[Facts], Facts]] = {
    EventKind.COMPLAINED: lambda data: {"FeedbackType": data.get("type", "abuse")},
}

FORMAT = Format(
    name=USER_LABEL,
    names=NAMES,
    words=WORDS,
    render=render,
    sample=sample,
    sign=sign,
    retries_ms=(
        clock.MINUTE, 5 * clock.MINUTE, 15 * clock.MINUTE, clock.HOUR, 3 * clock.HOUR, 6 * clock.HOUR,
        12 * clock.HOUR,
    ),
    timeout_s=5.0,
    failures_max=100,
    failing_ms=3 * clock.DAY,
)  # fmt: skip
