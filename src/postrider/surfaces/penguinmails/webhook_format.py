"""How webhooks are worded here (contract: webhooks): an envelope with id, type, created and data, signed.

Events whose nouns are not served yet (IPs, analytics) may be subscribed to and have nothing to tell.
"""

import hmac
from collections.abc import Callable
from typing import Any

from postrider.engine import engagement
from postrider.engine.insight import Counts
from postrider.engine.journal import EventKind
from postrider.engine.sending.campaigns import CampaignStatus
from postrider.engine.webhooks import Attempt, Format, Occasion, Rendered, Sample
from postrider.kit import clock, json
from postrider.kit.ids import RowId, to_uuid
from postrider.kit.money import units
from postrider.kit.seal import fingerprint
from postrider.surfaces.penguinmails.analytics import overview
from postrider.surfaces.penguinmails.answers import CURRENCY, money, time, time_or_none
from postrider.surfaces.penguinmails.auth import LABEL
from postrider.surfaces.penguinmails.ids import CAMPAIGN, CONTACT, EVENT, GOAL, MESSAGE, ORGANIZATION, to_id
from postrider.surfaces.penguinmails.vocabulary import CAMPAIGN_STATUSES, EVENTS

NAMES = (
    "campaign.created", "campaign.scheduled", "campaign.sending", "campaign.sent", "campaign.cancelled",
    "email.delivered", "email.opened", "email.clicked", "email.bounced", "email.complained",
    "email.unsubscribed", "ip.provisioned", "ip.activated", "ip.reputation_changed", "organization.created",
    "user.invited", "user.joined", "analytics.updated", "goal.converted", "revenue.recorded",
    "email.sent", "campaign.completed",
)  # fmt: skip
SAMPLED = "email.opened"  # where a test names no type
SIGNATURE, TYPE, DELIVERY = "X-PenguinMails-Signature", "X-PenguinMails-Event", "X-PenguinMails-Delivery-ID"
AGENT = {"User-Agent": "PenguinMails-Webhooks/1.0"}
_ALSO = {EventKind.CAMPAIGN_FINISHED: ("campaign.completed",)}  # sent right after, with the same data
WORDS = {kind: (word, *_ALSO.get(kind, ())) for kind, word in EVENTS.items() if word is not None}
ID_BYTES = 16
Data = dict[str, Any]


def event_id(about: Attempt | Sample | Occasion) -> str:
    """The id receivers deduplicate by: of an event under one of its names, the same at every attempt."""
    row_id = about.event.id if isinstance(about, Occasion) else about.event_id
    return to_id(EVENT, fingerprint(row_id, about.word.encode())[:ID_BYTES])


def render(occasion: Occasion) -> Rendered | None:
    """None for an event whose noun is no longer kept, or not served yet."""
    noun = occasion.word.partition(".")[0]
    shown = _NOUNS[noun](occasion) if noun in _NOUNS else None
    if shown is None:
        return None
    return _rendered(event_id(occasion), occasion.word, occasion.event.at, shown)


def sample(asked: Sample) -> Rendered:
    """A made-up event: a mail as the documents' own example has it, its times those of the test."""
    at, word = time(asked.at), asked.word
    campaign = {"id": to_id(CAMPAIGN, asked.event_id), "name": "Welcome Series", "type": "onboarding"}
    data: Data = {"organization": {"id": to_id(ORGANIZATION, asked.organization.public_id)}}
    if word.startswith("campaign."):
        data = {"campaign": campaign}
    elif word.startswith("email."):
        email = {
            "id": to_id(MESSAGE, asked.event_id),
            "campaign_id": campaign["id"],
            "to": "recipient@example.com",
            "subject": "Welcome to PenguinMails!",
            **dict.fromkeys(("sent_at", "delivered_at", "opened_at"), at),
        }
        data = {
            "email": email,
            "recipient": {"email": email["to"], "first_name": "John", "tags": ["customer", "vip"]},
            "analytics": {
                "open_count": 1,
                "click_count": 0,
                "device_type": "mobile",
                "location": "United States",
            },
            "campaign": campaign,
        }
    elif word == "goal.converted":
        data = {
            "goal": {"id": to_id(GOAL, asked.event_id), "name": "purchase"},
            "conversion": {
                "contact_id": to_id(CONTACT, asked.event_id),
                "campaign_id": campaign["id"],
                "value": "$49.00",
            },
        }
    elif word == "revenue.recorded":
        amounts = {"amount": "$49.00", "total": "$510.00", "milestone": "$500.00"}
        data = {"revenue": {"campaign_id": campaign["id"], **amounts}}
    return _rendered(event_id(asked), word, asked.at, data)


def sign(secret: bytes, body: bytes, attempt_id: RowId) -> dict[str, str]:
    digest = hmac.digest(secret, body, "sha256").hex()
    return {SIGNATURE: f"sha256={digest}", DELIVERY: to_uuid(attempt_id)}


def _rendered(id_: str, word: str, at: int, data: Data) -> Rendered:
    body = json.dump_bytes({"id": id_, "type": word, "created": time(at), "data": data})
    return Rendered({TYPE: word, **AGENT}, body)


def _email(occasion: Occasion) -> Data | None:
    message, event = occasion.message, occasion.event
    if message is None:
        return None
    data = event.data or {}

    def first(mark: str) -> str | None:
        """What came later than the event is not yet known to it."""
        at = getattr(message, f"first_{mark}_at")
        return time_or_none(at if at is not None and at <= event.at else None)

    return {
        "email": {
            "id": to_id(MESSAGE, message.id),
            "campaign_id": message.campaign_id and to_id(CAMPAIGN, message.campaign_id),
            "to": message.recipient,
            "subject": message.subject,
            "sent_at": first("sent"),
            "delivered_at": first("delivered"),
            "opened_at": first("opened"),
        },
        "recipient": _recipient(occasion),
        "analytics": {
            "open_count": message.opens,
            "click_count": message.clicks,
            "device_type": engagement.device_of(data)["type"],
            "location": (data.get("place") or {}).get("country_name"),
        },
        "campaign": _campaign_name(occasion),
        **_EXTRAS.get(event.kind, _nothing)(data, message, time(event.at)),
    }


def _recipient(occasion: Occasion) -> Data:
    """With what is known of the contact of that address, where there is one."""
    person = occasion.person
    return {
        "email": occasion.message.recipient,
        "first_name": None if person is None else person.first_name,
        "tags": [] if person is None else list(person.tags),
    }


def _campaign(occasion: Occasion) -> Data | None:
    """As the event told it; what became of it as it is known by now."""
    event, campaign = occasion.event, occasion.campaign
    told = event.data or {}
    if event.campaign_id is None or not told:
        return None
    is_sent = event.kind is EventKind.CAMPAIGN_FINISHED
    return {
        "campaign": {
            "id": to_id(CAMPAIGN, event.campaign_id),
            "name": told["name"],
            "type": None if campaign is None else campaign.label or campaign.kind,
            "status": CAMPAIGN_STATUSES[CampaignStatus(told["status"])],
            "scheduled_at": time_or_none(told["scheduled_at"]),
            "sent_at": time(event.at) if is_sent else None,
            "metrics": overview(occasion.counts or Counts({})),
        }
    }


def _organization(occasion: Occasion) -> Data:
    organization = occasion.organization
    return {"organization": {"id": to_id(ORGANIZATION, organization.public_id), "name": organization.name}}


def _campaign_name(occasion: Occasion) -> Data | None:
    campaign = occasion.campaign
    if campaign is None:
        return None
    return {
        "id": to_id(CAMPAIGN, campaign.id),
        "name": campaign.name,
        "type": campaign.label or campaign.kind,
    }


def _goal(occasion: Occasion) -> Data:
    event = occasion.event
    data = event.data or {}
    return {
        "goal": {"id": to_id(GOAL, bytes.fromhex(data["goal"])), "name": data["goal_name"]},
        "conversion": {
            "contact_id": event.contact_id and to_id(CONTACT, event.contact_id),
            "campaign_id": event.campaign_id and to_id(CAMPAIGN, event.campaign_id),
            "value": money(units(data["amount"])),
        },
    }


def _revenue(occasion: Occasion) -> Data | None:
    """Told of a milestone alone, in dollars."""
    event = occasion.event
    data = event.data or {}
    if "milestone" not in data or data["currency"] != CURRENCY or event.campaign_id is None:
        return None
    told = {name: money(units(data[name])) for name in ("amount", "total", "milestone")}
    return {"revenue": {"campaign_id": to_id(CAMPAIGN, event.campaign_id), **told}}


_NOUNS: dict[str, Callable[[Occasion], Data | None]] = {
    "goal": _goal,
    "revenue": _revenue,
    "email": _email,
    "campaign": _campaign,
    "organization": _organization,
}


def _nothing(data: Data, message: Any, at: str) -> Data:
    return {}


def _click(data: Data, message: Any, at: str) -> Data:
    links, link = message.links or [], data.get("link", -1)
    return {"click": {"url": links[link] if 0 <= link < len(links) else None, "clicked_at": at}}


_EXTRAS: dict[EventKind, Callable[[Data, Any, str], Data]] = {
    EventKind.CLICKED: _click,
    EventKind.BOUNCED: lambda data, message, at: {
        "bounce": {"type": data.get("class"), "reason": data.get("reply"), "bounced_at": at}
    },
    EventKind.COMPLAINED: lambda data, message, at: {"complaint": {"complained_at": at}},
    EventKind.UNSUBSCRIBED: lambda data, message, at: {"unsubscribe": {"unsubscribed_at": at}},
}

FORMAT = Format(
    name=LABEL,
    names=NAMES,
    words=WORDS,
    render=render,
    sample=sample,
    sign=sign,
    retries_ms=(clock.MINUTE, 5 * clock.MINUTE, 15 * clock.MINUTE, clock.HOUR, clock.DAY),
    timeout_s=5.0,
    failures_max=100,
    is_unique=True,
)
