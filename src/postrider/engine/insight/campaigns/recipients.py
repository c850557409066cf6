"""Lists of a campaign's recipients by what became of their mail, in the order in which it was made.

Pages come from indexes that hold nothing else, totals beyond reports.COUNT_MAX from what was counted.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from postrider.db.database import Tx
from postrider.engine.audience import contacts
from postrider.engine.audience.model import Contact, ContactFilter
from postrider.engine.errors import Invalid
from postrider.engine.insight.campaigns import store
from postrider.engine.insight.campaigns.model import (
    CAMPAIGN,
    UNIQUE,
    End,
    HitKind,
    Key,
    Listed,
    Recipient,
    Seen,
    Standing,
)
from postrider.engine.insight.campaigns.report import counts_of
from postrider.engine.insight.model import Counts, Measure, Who
from postrider.engine.journal import bounces
from postrider.engine.messages import Status, reports
from postrider.engine.messages.reports import COUNT_MAX, LastAttempt
from postrider.engine.messages.reports import Recipient as Mail
from postrider.engine.principal import Principal
from postrider.engine.sending.find import find_campaign
from postrider.kit.address import InvalidAddress, address_key, parse_address
from postrider.kit.ids import RowId

PAGE_MAX = 1_000
FOUND_MAX = 1_000  # contacts that a search looks at: the newest
SEARCH_MAX_CHARS = 254

HIT_KINDS = {
    Standing.OPENED: HitKind.OPENED,
    Standing.CLICKED: HitKind.CLICKED,
    Standing.BOUNCED: HitKind.BOUNCED,
    Standing.COMPLAINED: HitKind.COMPLAINED,
    Standing.UNSUBSCRIBED: HitKind.UNSUBSCRIBED,
}
STATUSES = {
    Standing.QUEUED: (Status.QUEUED, Status.DEFERRED),
    Standing.SENT: (Status.DELIVERED, Status.BOUNCED),
    Standing.DELIVERED: (Status.DELIVERED,),
    Standing.FAILED: (Status.FAILED,),
    Standing.NOT_SENT: (Status.FAILED, Status.SUPPRESSED, Status.CANCELLED),
}
_ENDED = (Status.BOUNCED, Status.FAILED)
_COUNTED_BY_WHOM = (HitKind.OPENED, HitKind.CLICKED)


def recipients(
    tx: Tx,
    principal: Principal,
    campaign_id: RowId,
    standing: Standing | None = None,
    who: Who = Who.ALL,
    *,
    search: str = "",
    limit: int,
    offset: int = 0,
) -> Listed:
    """A page of PAGE_MAX at most; `who`: whose openings and clicks are told and asked for.

    `search` is an address, or a part of a contact's address or name, of whom FOUND_MAX are looked at. Raises
    NotFound; Invalid for a search that is too long.
    """
    find_campaign(tx, principal, campaign_id)
    organization_id, limit = principal.organization_id, min(limit, PAGE_MAX)
    if search:
        found = _search(tx, organization_id, campaign_id, standing, who, search)
        ids, total = found[offset : offset + limit], len(found)
    elif standing in HIT_KINDS:
        kind = HIT_KINDS[standing]
        by_whom = who if kind in _COUNTED_BY_WHOM else Who.ALL
        ids = store.page(tx, organization_id, campaign_id, kind, by_whom, limit=limit, offset=offset)
        total = _count_hits(tx, organization_id, campaign_id, kind, by_whom)
    else:
        statuses = STATUSES[standing] if standing is not None else ()
        ids = reports.page(tx, organization_id, campaign_id, statuses=statuses, limit=limit, offset=offset)
        total = _count(tx, organization_id, campaign_id, standing)
    return Listed(_rows(tx, organization_id, campaign_id, ids, who), total)


def _count_hits(tx: Tx, organization_id: int, campaign_id: RowId, kind: HitKind, who: Who) -> int:
    measure = UNIQUE.get((kind, who))
    if measure is None:
        counted = store.hit_messages(tx, organization_id, campaign_id, kind, most=COUNT_MAX + 1)
        if counted <= COUNT_MAX:
            return counted
    counts = counts_of(tx, organization_id, [campaign_id])[campaign_id]
    match kind:
        case HitKind.BOUNCED:
            return counts.bounced
        case HitKind.COMPLAINED:
            return counts[Measure.COMPLAINED]
        case HitKind.UNSUBSCRIBED:
            return counts[Measure.UNSUBSCRIBED]
        case _:
            return counts[UNIQUE[kind, who]]


def _count(tx: Tx, organization_id: int, campaign_id: RowId, standing: Standing | None) -> int:
    statuses = STATUSES[standing] if standing is not None else ()
    counted = reports.count(tx, organization_id, campaign_id, statuses)
    if counted <= COUNT_MAX:
        return counted
    return max(counted, _told(counts_of(tx, organization_id, [campaign_id])[campaign_id], standing))


def _told(counts: Counts, standing: Standing | None) -> int:
    """About how many messages stand so: some were suppressed when they were made, some bounce later."""
    not_sent = counts[Measure.FAILED] + counts[Measure.SUPPRESSED] + counts[Measure.CANCELLED]
    match standing:
        case None:
            return counts[Measure.ACCEPTED] + counts[Measure.SUPPRESSED]
        case Standing.QUEUED:
            return counts[Measure.ACCEPTED] - counts[Measure.DELIVERED] - counts.bounced - not_sent
        case Standing.SENT:
            return counts[Measure.DELIVERED] + counts.bounced
        case Standing.DELIVERED:
            return counts[Measure.DELIVERED]
        case Standing.FAILED:
            return counts[Measure.FAILED]
        case _:
            return not_sent


def _search(
    tx: Tx, organization_id: int, campaign_id: RowId, standing: Standing | None, who: Who, search: str
) -> list[RowId]:
    """All messages that are asked for, in order."""
    if len(search) > SEARCH_MAX_CHARS or "\0" in search:
        raise Invalid(field="search", message=f"A search has at most {SEARCH_MAX_CHARS} characters")
    found = contacts.page(tx, Principal(organization_id), ContactFilter(search=search), limit=FOUND_MAX)
    keys = {contact.address_key for contact in found}
    with suppress(InvalidAddress):
        keys.add(address_key(parse_address(search.strip())))
    ids = reports.of_addresses(tx, organization_id, campaign_id, keys)
    if standing is None:
        return ids
    if standing in HIT_KINDS:
        kind = HIT_KINDS[standing]
        by_whom = who if kind in _COUNTED_BY_WHOM else Who.ALL
        seen = _hits(tx, organization_id, campaign_id, ids, [kind], by_whom)
        return [message_id for message_id in ids if seen[kind, message_id].times]
    mails = reports.recipients(tx, organization_id, ids)
    return [mail.id for mail in mails if mail.status in STATUSES[standing]]


def _rows(
    tx: Tx, organization_id: int, campaign_id: RowId, ids: Sequence[RowId], who: Who
) -> list[Recipient]:
    """What is known of these messages, in six statements at most."""
    mails = reports.recipients(tx, organization_id, ids)
    known = _contacts(tx, organization_id, [mail.recipient for mail in mails])
    hits = _hits(tx, organization_id, campaign_id, ids, _COUNTED_BY_WHOM, who)
    ends = _ends(tx, organization_id, mails)
    return [
        Recipient(
            mail,
            known.get(mail.address_key),
            hits[HitKind.OPENED, mail.id],
            hits[HitKind.CLICKED, mail.id],
            ends.get(mail.id),
        )
        for mail in mails
    ]


def _contacts(tx: Tx, organization_id: int, emails: Sequence[str]) -> dict[str, Contact]:
    if not emails:
        return {}
    asked = ContactFilter(emails=tuple(emails))
    found = contacts.page(tx, Principal(organization_id), asked, limit=len(emails))
    return {contact.address_key: contact for contact in found}


def _hits(
    tx: Tx,
    organization_id: int,
    campaign_id: RowId,
    ids: Iterable[RowId],
    kinds: Sequence[HitKind],
    who: Who,
) -> dict[tuple[HitKind, RowId], Seen]:
    """How often and when, by kind and message."""
    keys = {
        (kind, each): Key(organization_id, campaign_id, int(kind), CAMPAIGN, each)
        for kind in kinds
        for each in ids
    }
    found = store.hits(tx, keys.values())
    return {of: found.get(key, {}).get(who, Seen()) for of, key in keys.items()}


def _ends(tx: Tx, organization_id: int, mails: Sequence[Mail]) -> dict[RowId, End]:
    """By the journal, and by the last attempt where the journal is no longer kept."""
    ids = [mail.id for mail in mails if mail.status in _ENDED or mail.first_bounced_at is not None]
    if not ids:
        return {}
    told = bounces.ends(tx, organization_id, ids)
    tried = reports.last_attempts(tx, organization_id, [each for each in ids if each not in told])
    found = {message_id: _of_attempt(attempt) for message_id, attempt in tried.items()}
    for message_id, event in told.items():
        data = event.data or {}
        reason = data.get("reason") or data.get("reply")
        found[message_id] = End(
            event.at, data.get("class"), reason, _code(data.get("code"), data.get("enhanced"))
        )
    return found


def _of_attempt(attempt: LastAttempt) -> End:
    code = _code(attempt.code, attempt.enhanced)
    return End(attempt.started_at, attempt.bounce_class, attempt.reply, code)


def _code(code: int | None, enhanced: str | None) -> str | None:
    return " ".join(str(part) for part in (code, enhanced) if part) or None
