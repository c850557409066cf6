"""How webhooks are worded here (contract: webhooks): flat JSON, signed with HMAC-SHA256 over the raw body."""

import hmac
from collections.abc import Callable
from typing import Any

from postrider.engine.journal import EventKind
from postrider.engine.webhooks import Format, Occasion, Rendered, Sample
from postrider.kit import clock, json
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.mailerlogic.auth import LABEL
from postrider.surfaces.mailerlogic.events import device_info
from postrider.surfaces.mailerlogic.vocabulary import EVENTS

NAMES = (
    "email.sent", "email.delivered", "email.opened", "email.clicked", "email.bounced", "email.complained",
    "email.unsubscribed", "email.failed",
)  # fmt: skip
TEST = "test"
SIGNATURE = "X-Webhook-Signature"
WORDS = {
    kind: (name,) for kind, word in EVENTS.items() if word is not None and (name := f"email.{word}") in NAMES
}
Facts = dict[str, Any]

# Opt-outs by their source: a mail program's own button, and what it mails, are the one click.
_METHODS = {"link": ("link", "User clicked unsubscribe link")}
_ONE_CLICK = ("one-click", "User unsubscribed with one click")


def render(occasion: Occasion) -> Rendered | None:
    """An event of a message; None where the message is no longer kept."""
    message, event = occasion.message, occasion.event
    if message is None:
        return None
    facts: Facts = {"event": occasion.word, "timestamp": clock.to_iso(event.at)}
    if event.kind is not EventKind.UNSUBSCRIBED:
        facts["email_id"] = to_uuid(message.group_id)
    facts |= _FACTS[event.kind](event.data or {}, message, event.at)
    if event.kind is not EventKind.UNSUBSCRIBED:
        facts |= _given(message)
    return Rendered({}, json.dump_bytes(facts))


def sample(asked: Sample) -> Rendered:
    return Rendered(
        {},
        json.dump_bytes(
            {
                "event": TEST,
                "timestamp": clock.to_iso(asked.at),
                "customer_id": to_uuid(asked.organization.public_id),
                "message": "Test webhook from MailerLogic",
            }
        ),
    )


def sign(secret: bytes, body: bytes, attempt_id: RowId) -> dict[str, str]:
    return {SIGNATURE: hmac.digest(secret, body, "sha256").hex()}


def _given(message: Any) -> Facts:
    """What the sender gave to be echoed; what was not given is absent."""
    given: Facts = {}
    if message.tags:
        given["tag"] = message.tags[0]
    if message.metadata is not None:
        given["metadata"] = message.metadata
    if custom := (message.headers or {}).get("custom"):
        given["headers"] = dict(custom)
    return given


def _mail(message: Any) -> Facts:
    return {
        "to": message.recipient,
        "from": message.from_header.rpartition("<")[2].rstrip(">"),
        "subject": message.subject,
    }


def _opened(data: Facts, message: Any, at: int) -> Facts:
    return {
        "ip_address": data.get("ip"),
        "user_agent": data.get("user_agent"),
        "is_scanner": data.get("human") is False,
        "scanner_confidence": (data.get("scanner") or {}).get("score", 0),
        **device_info(data),
    }


def _clicked(data: Facts, message: Any, at: int) -> Facts:
    links, link = message.links or [], data.get("link", -1)
    return {
        "url": links[link] if 0 <= link < len(links) else None,
        "ip_address": data.get("ip"),
        "user_agent": data.get("user_agent"),
        "is_scanner": data.get("human") is False,
        **device_info(data),
    }


def _bounced(data: Facts, message: Any, at: int) -> Facts:
    said = [str(data[name]) for name in ("code", "enhanced") if data.get(name)]
    return {
        "recipient": message.recipient,
        "bounce_type": data.get("class"),
        "reason": data.get("reply"),
        "diagnostic_code": " ".join(said) or None,
    }


def _unsubscribed(data: Facts, message: Any, at: int) -> Facts:
    method, reason = _METHODS.get(str(data.get("source", "link")), _ONE_CLICK)
    return {"email": message.recipient, "reason": reason, "method": method}


def _failed(reason: str) -> Callable[[Facts, Any, int], Facts]:
    def facts(data: Facts, message: Any, at: int) -> Facts:
        told = data.get("reason") or reason
        return {"recipient": message.recipient, "reason": told, "error": data.get("reply") or told}

    return facts


_FACTS: dict[EventKind, Callable[[Facts, Any, int], Facts]] = {
    EventKind.SENT: lambda data, message, at: _mail(message),
    EventKind.DELIVERED: lambda data, message, at: {**_mail(message), "deliveredAt": clock.to_iso(at)},
    EventKind.OPENED: _opened,
    EventKind.CLICKED: _clicked,
    EventKind.BOUNCED: _bounced,
    EventKind.COMPLAINED: lambda data, message, at: {
        "recipient": message.recipient,
        "complaint_type": data.get("type", "abuse"),
    },
    EventKind.UNSUBSCRIBED: _unsubscribed,
    EventKind.FAILED: _failed("failed"),
    EventKind.SUPPRESSED: _failed("suppressed"),
    EventKind.CANCELLED: _failed("cancelled"),
}

FORMAT = Format(
    name=LABEL,
    names=NAMES,
    words=WORDS,
    render=render,
    sample=sample,
    sign=sign,
    retries_ms=(clock.SECOND, 5 * clock.SECOND, 30 * clock.SECOND, 2 * clock.MINUTE, 10 * clock.MINUTE),
    timeout_s=30.0,
    failures_max=100,
    failing_ms=3 * clock.DAY,
)
