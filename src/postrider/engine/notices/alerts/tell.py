"""From looks to alerts: what is new is raised, what is over is cleared; each is an event, a mail, a line."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from postrider.db.database import Tx
from postrider.engine import accounts, journal
from postrider.engine.accounts import operator
from postrider.engine.journal import Event, EventKind
from postrider.engine.notices.alerts import store
from postrider.engine.notices.alerts.model import Alert, AlertKind, Look
from postrider.engine.notices.model import Kind, Letterhead, Notice
from postrider.engine.notices.send import send
from postrider.engine.principal import Principal
from postrider.kit import clock
from postrider.kit.ids import RowId

UNSEEN_MS = 3 * clock.HOUR  # a node that is gone, a check that was switched off: nobody looks any more
MAILS_MAX = 5  # of one round, so that it stays short; the others are events and in the list
_TITLES: dict[AlertKind, str] = {
    AlertKind.QUEUE_STUCK: "Mail is stuck at {subject}",
    AlertKind.FOLLOWER_LAG: "Events are not followed up",
    AlertKind.CERTIFICATE_ENDS: "The certificate in {subject} ends soon",
    AlertKind.LISTED: "{subject} is on a blocklist",
    AlertKind.DISK_FULL: "The disk of {subject} is nearly full",
}
_TOLD: dict[AlertKind, str] = {
    AlertKind.QUEUE_STUCK: "Mail is due there and nobody has served it, though nothing holds it back.",
    AlertKind.FOLLOWER_LAG: "Events wait to be counted and told on. Statistics and webhooks come late.",
    AlertKind.CERTIFICATE_ENDS: "Programs and mail servers that check it will refuse to talk to this server.",
    AlertKind.LISTED: "Receivers that ask this list may refuse or hide your mail.",
    AlertKind.DISK_FULL: "When it is full, nothing can be accepted or sent any more.",
}
_ADVICE: dict[AlertKind, str] = {
    AlertKind.QUEUE_STUCK: "See whether a node with the deliver role runs, and what its log says.",
    AlertKind.FOLLOWER_LAG: "See whether a node with the follow role runs, and what its log says.",
    AlertKind.CERTIFICATE_ENDS: "Put a new certificate into the same file; it is read again by itself.",
    AlertKind.LISTED: "Find out which mail was the cause and stop it, then ask the list to remove you.",
    AlertKind.DISK_FULL: "Make room, or give Postrider a larger disk.",
}


def settle(tx: Tx, letterhead: Letterhead, looks: Sequence[Look]) -> None:
    """Raise what is new and clear what is over, for the operator; nothing where there is no operator yet.

    An alert of a kind and scope that was not looked for stays as it is, for UNSEEN_MS.
    """
    owner = accounts.first_live(tx)
    if owner is None:
        return
    now = clock.now_ms()
    opened = store.open_alerts(tx, owner.id)
    looked = {(look.kind, look.scope) for look in looks}
    seen = {(look.kind, look.scope, sight.subject) for look in looks for sight in look.sights}
    going_on = [each for each in opened if _key(each) in seen]
    over = [
        each
        for each in opened
        if _key(each) not in seen and (_key(each)[:2] in looked or each.seen_at < now - UNSEEN_MS)
    ]
    if going_on:
        store.mark_seen(tx, owner.id, [each.id for each in going_on], now)
    cleared = store.clear(tx, owner.id, [each.id for each in over], now) if over else set()
    raised = store.raise_(tx, owner.id, _new(looks, {_key(each) for each in opened}), now)
    told = [(each, False) for each in raised]
    told += [(each, True) for each in over if each.id in cleared]
    journal.record(tx, [_event(each, now, is_over=is_over) for each, is_over in told])
    for place, (each, is_over) in enumerate(told):
        _log.warning("alert_cleared" if is_over else "alert_raised", alert=each.kind, subject=each.subject)
        if place < MAILS_MAX:
            send(tx, letterhead, _notice(each, now, is_over=is_over))


def browse(
    tx: Tx, principal: Principal, *, is_open: bool | None = None, before: RowId | None = None, limit: int
) -> list[Alert]:
    """The operator's alerts, those raised last first; of both sorts unless `is_open` says which."""
    operator.require_operator(tx, principal, operator.READ)
    return store.page(
        tx, principal.organization_id, is_open=is_open, before=before, limit=min(limit, store.PAGE_MAX)
    )


_log = structlog.get_logger("alerts")


def _key(alert: Alert) -> tuple[AlertKind, str, str]:
    return alert.kind, alert.scope, alert.subject


def _new(looks: Sequence[Look], known: set[tuple[AlertKind, str, str]]) -> list[Look]:
    """The looks with only what is not open yet, OPEN_MAX in all."""
    room = max(0, store.OPEN_MAX - len(known))
    found = []
    for look in looks:
        sights = [each for each in look.sights if (look.kind, look.scope, each.subject) not in known][:room]
        room -= len(sights)
        found.append(Look(look.kind, tuple(sights), look.scope))
    return found


def _event(alert: Alert, now: int, *, is_over: bool) -> Event:
    facts: dict[str, Any] = {
        "kind": alert.kind.value,
        "scope": alert.scope,
        "subject": alert.subject,
        "alert_id": alert.id.hex(),
    }
    kind = EventKind.ALERT_CLEARED if is_over else EventKind.ALERT_RAISED
    source_id = f"{kind.name.lower()}:{alert.id.hex()}"
    return Event(alert.organization_id, kind, now, data=facts, source_id=source_id)


def _notice(alert: Alert, now: int, *, is_over: bool) -> Notice:
    facts: dict[str, Any] = {
        "title": _TITLES[alert.kind].format(subject=alert.subject),
        "rows": [["About", alert.subject], *_rows(alert.facts)],
        "raised_at": alert.raised_at,
    }
    if is_over:
        facts |= {"cleared_at": now, "told_over": "Nothing of it was seen in the last look."}
        return Notice(alert.organization_id, Kind.ALERT_CLEARED, f"cleared:{alert.id.hex()}", facts)
    facts |= {"told": _TOLD[alert.kind], "advice": _ADVICE[alert.kind]}
    return Notice(alert.organization_id, Kind.ALERT_RAISED, f"raised:{alert.id.hex()}", facts)


def _rows(facts: Mapping[str, Any]) -> list[list[str]]:
    return [[name.replace("_", " ").capitalize(), str(fact)] for name, fact in facts.items()]
