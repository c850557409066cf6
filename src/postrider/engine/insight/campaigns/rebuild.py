"""Counts of campaigns made anew: what happens each time from the journal, firsts and links from the hits.

Hits are no counts but what is known of messages, and older than the journal may be: they are believed.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from postrider.db.database import Database, Tx
from postrider.engine.insight.campaigns import kept
from postrider.engine.insight.campaigns.model import Place, Seen, Sum
from postrider.engine.insight.campaigns.store import FINE, Row, add_rows, add_sums
from postrider.kit.ids import RowId

ROWS_AT_ONCE = 128  # of one write: what stays under 25 ms


def differences(tx: Tx, organization_id: int, counted: Mapping[Place, int], begins: int) -> list[Row]:
    """What the quarters of an hour from `begins` on lack; in the first of them the larger count stays."""
    want: Counter[Place] = Counter({place: n for place, n in counted.items() if place.bucket >= begins})
    want.update(kept.firsts(tx, organization_id, begins))
    have = kept.fine(tx, organization_id, begins)
    changes = []
    for place in sorted(have.keys() | want.keys()):
        wanted = max(have.get(place, 0), want[place]) if place.bucket == begins else want[place]
        if wanted != have.get(place, 0):
            changes.append(_row(place, FINE, wanted - have.get(place, 0)))
    return changes


def apply(db: Database, rows: Sequence[Row]) -> None:
    """Write what was found, in short writes."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        db.write_now(add_rows, rows[start : start + ROWS_AT_ONCE])


def mend(db: Database, organization_id: int, counted: Mapping[Sum, Seen]) -> int:
    """Make hours, days and sums what quarters of an hour and hits say; answers how many rows were wrong.

    `counted`: by the journal, of which only the first and last times are taken.
    """
    times: dict[RowId, dict[Sum, Seen]] = defaultdict(dict)
    for place, seen in counted.items():
        if seen.first_at is not None:
            times[place.campaign_id][place] = seen
    return sum(
        _mend(db, organization_id, campaign_id, times.get(campaign_id, {}))
        for campaign_id in db.read_now(kept.campaigns, organization_id)
    )


def _mend(db: Database, organization_id: int, campaign_id: RowId, times: Mapping[Sum, Seen]) -> int:
    def compare(tx: Tx) -> tuple[list[Row], list[tuple[Sum, Seen]]]:
        steps, want = kept.wanted(tx, organization_id, campaign_id)
        for place, seen in times.items():
            want.setdefault(place, Seen()).first_at = seen.first_at
            want[place].last_at = seen.last_at
        have_steps, have = kept.summed(tx, organization_id, campaign_id)
        rows = [
            _row(place, step, steps.get((step, place), 0) - have_steps.get((step, place), 0))
            for step, place in sorted(steps.keys() | have_steps.keys())
            if steps.get((step, place), 0) != have_steps.get((step, place), 0)
        ]
        places = sorted(have.keys() | want.keys())
        lacking = [(place, _lacking(have.get(place, Seen()), want.get(place, Seen()))) for place in places]
        return rows, [(place, seen) for place, seen in lacking if seen != Seen()]

    rows, sums = db.snapshot_now(compare)
    apply(db, rows)
    for start in range(0, len(sums), ROWS_AT_ONCE):
        db.write_now(add_sums, dict(sums[start : start + ROWS_AT_ONCE]))
    return len(rows) + len(sums)


def _lacking(have: Seen, want: Seen) -> Seen:
    """What must be added; times only widen."""
    lacking = Seen(want.times - have.times)
    if want.first_at is not None and (have.first_at is None or want.first_at < have.first_at):
        lacking.first_at = want.first_at
    if want.last_at is not None and (have.last_at is None or want.last_at > have.last_at):
        lacking.last_at = want.last_at
    return lacking


def _row(place: Place, step: int, count: int) -> Row:
    return (
        place.organization_id, place.campaign_id, step, place.measure.value, place.bucket, place.variant,
        count,
    )  # fmt: skip
