"""How webhooks are worded here (contract: webhooks): an event's id, type, time and data, signed as a whole.

Automations may be subscribed to; what has no noun in the engine yet has nothing to tell.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any

from postrider.engine.journal import EventKind
from postrider.engine.webhooks import Format, Occasion, Rendered, Sample
from postrider.kit import clock, json
from postrider.kit.ids import RowId
from postrider.surfaces.nudgecampaign.auth import LABEL
from postrider.surfaces.nudgecampaign.ids import Noun, show
from postrider.surfaces.nudgecampaign.resources import shown_at
from postrider.surfaces.nudgecampaign.vocabulary import EVENTS

NAMES = tuple(word for word in EVENTS.values() if word is not None)
WORDS = {kind: (word,) for kind, word in EVENTS.items() if word is not None}
SIGNATURE = "X-NudgeCampaign-Signature"
Data = dict[str, Any]

# There are two words for bounces here; a block may pass, as a soft bounce may.
_BOUNCES = {"hard": "hard", "soft": "soft", "block": "soft"}


def render(occasion: Occasion) -> Rendered | None:
    """None for an event whose noun is kept no longer, or not served yet."""
    event = occasion.event
    tell = _DATA.get(event.kind)
    data = None if tell is None else tell(occasion)
    return None if data is None else _rendered(event.id, occasion.word, event.at, data)


def sample(asked: Sample) -> Rendered:
    """A made-up event: made-up ids, an address of nobody, and what the word tells beside."""
    noun, at = asked.word.partition(".")[0], shown_at(asked.at)
    ids: Data = {}
    if noun in ("email", "campaign"):
        ids["campaign_id"] = show(Noun.CAMPAIGN, asked.event_id)
    if noun != "campaign":
        ids |= {"contact_id": show(Noun.CONTACT, asked.event_id), "email": "user@example.com"}
    metadata = _SAMPLES.get(asked.word, {})
    return _rendered(asked.event_id, asked.word, asked.at, {**ids, "timestamp": at, "metadata": metadata})


def sign(secret: bytes, body: bytes, attempt_id: RowId) -> dict[str, str]:
    return {SIGNATURE: f"sha256={hmac.digest(secret, body, 'sha256').hex()}"}


def _rendered(event_id: RowId, word: str, at: int, data: Data) -> Rendered:
    told = {"id": show(Noun.EVENT, event_id), "type": word, "created_at": shown_at(at), "data": data}
    return Rendered({}, json.dump_bytes(told))


def _email(metadata: Callable[[Data, Any], Data]) -> Callable[[Occasion], Data | None]:
    def tell(occasion: Occasion) -> Data | None:
        contact = _contact(occasion, metadata)
        if contact is None:
            return None
        campaign_id = occasion.event.campaign_id or occasion.message.campaign_id
        return {"campaign_id": campaign_id and show(Noun.CAMPAIGN, campaign_id), **contact}

    return tell


def _contact(occasion: Occasion, metadata: Callable[[Data, Any], Data]) -> Data | None:
    """Whom the event's message is for."""
    message, event, person = occasion.message, occasion.event, occasion.person
    if message is None:
        return None
    return {
        "contact_id": person and show(Noun.CONTACT, person.id),
        "email": message.recipient,
        "timestamp": shown_at(event.at),
        "metadata": metadata(event.data or {}, message),
    }


def _person(metadata: Callable[[Data, Any], Data]) -> Callable[[Occasion], Data | None]:
    """Of a contact by itself; of a mail's recipient too, who need not be one."""

    def tell(occasion: Occasion) -> Data | None:
        event, person = occasion.event, occasion.person
        if person is None:
            return _contact(occasion, metadata)
        return {
            "contact_id": show(Noun.CONTACT, person.id),
            "email": person.email,
            "timestamp": shown_at(event.at),
            "metadata": metadata(event.data or {}, None),
        }

    return tell


def _campaign(occasion: Occasion) -> Data | None:
    event, data = occasion.event, occasion.event.data or {}
    if event.campaign_id is None:
        return None
    return {
        "campaign_id": show(Noun.CAMPAIGN, event.campaign_id),
        "timestamp": shown_at(event.at),
        "metadata": {name: data.get(name) for name in ("recipients", "delivered", "bounced")},
    }


def _nothing(data: Data, message: Any) -> Data:
    return {}


def _hit(data: Data, message: Any) -> Data:
    place = data.get("place") or {}
    location = ", ".join(place[part] for part in ("city", "country") if place.get(part))
    return {
        "ip_address": data.get("ip"), "user_agent": data.get("user_agent"), "location": location or None
    }  # fmt: skip


def _click(data: Data, message: Any) -> Data:
    """Nobody knows the link of a mail that is gone."""
    links, link = (message.links if message is not None else None) or [], data.get("link", -1)
    return {"url": links[link] if 0 <= link < len(links) else None, **_hit(data, message)}


def _bounce(data: Data, message: Any) -> Data:
    return {"bounce_type": _BOUNCES.get(str(data.get("class"))), "reason": data.get("reply")}


def _opt_out(data: Data, message: Any) -> Data:
    """What was said; else by what it came: link, one-click, mail, feedback-loop, api."""
    return {"reason": data.get("reason") or data.get("source"), "feedback": data.get("feedback")}


def _opt_in(data: Data, message: Any) -> Data:
    lists = [show(Noun.LIST, bytes.fromhex(each)) for each in data.get("lists", ())]
    return {"source": data.get("source"), "lists": lists}


def _change(data: Data, message: Any) -> Data:
    """What is called properties elsewhere are custom fields here; each by its own name."""
    changed = (name.partition(".") for name in data.get("changed", ()))
    names = (f"custom_fields.{key}" if field == "properties" and key else field for field, _, key in changed)
    return {"changed": list(dict.fromkeys(names))}


# What is told beside whom and when; contacts' activity tells the same.
METADATA: Mapping[EventKind, Callable[[Data, Any], Data]] = {
    EventKind.SENT: _nothing,
    EventKind.DELIVERED: _nothing,
    EventKind.OPENED: _hit,
    EventKind.CLICKED: _click,
    EventKind.BOUNCED: _bounce,
    EventKind.COMPLAINED: _nothing,
    EventKind.UNSUBSCRIBED: _opt_out,
    EventKind.CONTACT_SUBSCRIBED: _opt_in,
    EventKind.CONTACT_UPDATED: _change,
}
_OF_MAIL = "email."
_DATA: Mapping[EventKind, Callable[[Occasion], Data | None]] = {
    **{
        kind: (_email if (EVENTS[kind] or "").startswith(_OF_MAIL) else _person)(metadata)
        for kind, metadata in METADATA.items()
    },
    EventKind.CAMPAIGN_FINISHED: _campaign,
}
_SEEN = {"ip_address": "192.168.1.1", "user_agent": "Mozilla/5.0", "location": "New York, US"}
_SAMPLES: Mapping[str, Data] = {
    "email.opened": _SEEN,
    "email.clicked": {"url": "https://example.com/offer", **_SEEN},
    "email.bounced": {"bounce_type": "hard", "reason": "user unknown"},
    "contact.subscribed": {"source": "api", "lists": []},
    "contact.unsubscribed": {"reason": "link", "feedback": None},
    "contact.updated": {"changed": ["first_name"]},
    "campaign.completed": {"recipients": 3, "delivered": 2, "bounced": 1},
}

FORMAT = Format(
    name=LABEL,
    names=NAMES,
    words=WORDS,
    render=render,
    sample=sample,
    sign=sign,
    retries_ms=(clock.MINUTE, 5 * clock.MINUTE, 30 * clock.MINUTE, 2 * clock.HOUR, 12 * clock.HOUR),
    timeout_s=10.0,
    failures_max=100,
    failing_ms=3 * clock.DAY,
)
