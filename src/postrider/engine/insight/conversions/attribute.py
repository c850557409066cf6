"""Whose mail brought a conversion about, where nobody says: the last click or opening by a human decides.

What a contact did stands in its engagements; of an address that is no contact the journal tells, as far as
its events are kept.
"""

from postrider.db.database import Tx
from postrider.engine import journal
from postrider.engine.audience.model import EngagementKind
from postrider.engine.insight.conversions import store
from postrider.engine.insight.conversions.model import Attribution
from postrider.engine.insight.conversions.rules import Touch, Windows, credit
from postrider.engine.journal import EventKind, Whose
from postrider.engine.messages import personal
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor

SKEW_MS = clock.HOUR  # by how much the clocks of two nodes may differ
READ_LATE_MS = 90 * clock.DAY  # how old a mail may be that somebody still reads
MAILS_MAX = 1_000  # of one address that are looked at


def to_contact(
    tx: Tx, organization_id: int, contact_id: RowId, *, at: int, windows: Windows
) -> tuple[RowId | None, Attribution]:
    """The campaign that a contact's conversion at a time (ms) is credited to."""
    since = at - windows.longest_ms - SKEW_MS
    clicked, opened = (
        store.touched(tx, organization_id, contact_id, kind, since=since, until=at)
        for kind in (EngagementKind.CLICKED, EngagementKind.OPENED)
    )
    return credit(clicked, opened, at=at, windows=windows)


def to_address(
    tx: Tx, organization_id: int, address_key: str, *, at: int, windows: Windows
) -> tuple[RowId | None, Attribution]:
    """As to_contact, of an address that is none."""
    since = at - windows.longest_ms - SKEW_MS
    mails = personal.of_address(
        tx, organization_id, address_key, after=id_floor(since - READ_LATE_MS), limit=MAILS_MAX
    )
    campaign_of = {each.id: each.campaign_id for each in mails if each.campaign_id is not None}
    told = journal.hits_since(tx, [(organization_id, each, id_floor(since)) for each in campaign_of])
    last: dict[EventKind, Touch] = {}
    for event in journal.corrected(told, [each for each in told if each.kind is EventKind.RECLASSIFIED]):
        campaign_id = campaign_of.get(event.message_id or b"")
        is_human = event.kind in journal.HITS and journal.whose(event.data or {}) is Whose.HUMAN
        if not is_human or campaign_id is None or event.at > at:
            continue
        if event.kind not in last or event.at >= last[event.kind].at:
            last[event.kind] = Touch(event.at, campaign_id)
    return credit(last.get(EventKind.CLICKED), last.get(EventKind.OPENED), at=at, windows=windows)
