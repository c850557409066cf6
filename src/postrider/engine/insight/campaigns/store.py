"""The SQL of what became of campaigns. All counts are added to; hits are written as they stand."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow, Statement, insert_batch
from postrider.engine.insight.campaigns.model import CAMPAIGN, HitKind, Key, Place, Seen, Sum
from postrider.engine.insight.campaigns.tables import (
    campaign_counts,
    campaign_hits,
    campaign_links,
    campaign_rollups,
)
from postrider.engine.insight.model import Measure, Who
from postrider.engine.insight.tally import BUCKET_MS
from postrider.kit import clock
from postrider.kit.ids import RowId

FINE, HOUR, DAY = BUCKET_MS, clock.HOUR, clock.DAY
STEPS = (HOUR, DAY)  # by which quarters of an hour are summed
LINKS_MAX = 1_000  # of one campaign that are told apart

Row = tuple[
    int, RowId, int, str, int, int, int
]  # organization, campaign, step, measure, bucket, variant, count
Hits = dict[Who, Seen]

_PLACE = ("organization_id", "campaign_id", "step_ms", "measure", "bucket", "variant")
_SUM = ("organization_id", "campaign_id", "link", "variant", "measure")
_KEY = ("organization_id", "campaign_id", "kind", "link", "message_id")
_SEEN = (
    "times", "first_at", "last_at", "human", "first_human_at", "last_human_at", "scanner",
    "first_scanner_at", "last_scanner_at",
)  # fmt: skip
_WHO = (Who.ALL, Who.HUMAN, Who.SCANNER)  # in the order of _SEEN
_TYPES: dict[str, type] = {
    **dict.fromkeys(("organization_id", "step_ms", "bucket", "variant", "link", "kind"), int),
    **dict.fromkeys(("campaign_id", "message_id"), bytes),
    "measure": str,
}


def _typed(names: Sequence[str]) -> dict[str, type]:
    return {name: _TYPES[name] for name in names}


def _drop_empty(table: str, place: Sequence[str]) -> Batch:
    same = " AND ".join(f"{table}.{name} = v.{name}" for name in place)
    listed = ", ".join(f"{table}.{name}" for name in place)
    return Batch(
        f"""DELETE FROM {table} WHERE ({", ".join(place)}) IN (
              SELECT {listed} FROM v JOIN {table} ON {same} WHERE {table}.count = 0)""",  # noqa: S608
        **_typed(place),
    )


_add_rows = insert_batch(
    campaign_rollups, *_PLACE, "count",
    tail=f"""ON CONFLICT ({", ".join(_PLACE)})
             DO UPDATE SET count = campaign_rollups.count + excluded.count""",
)  # fmt: skip
_add_sums = insert_batch(
    campaign_counts, *_SUM, "count", "first_at", "last_at",
    tail=f"""ON CONFLICT ({", ".join(_SUM)}) DO UPDATE SET count = campaign_counts.count + excluded.count,
      first_at = CASE WHEN campaign_counts.first_at < excluded.first_at OR excluded.first_at IS NULL
                      THEN campaign_counts.first_at ELSE excluded.first_at END,
      last_at = CASE WHEN campaign_counts.last_at > excluded.last_at OR excluded.last_at IS NULL
                     THEN campaign_counts.last_at ELSE excluded.last_at END""",
)  # fmt: skip
_drop_rows = _drop_empty("campaign_rollups", _PLACE)
_drop_sums = _drop_empty("campaign_counts", _SUM)
_hits = Batch(
    f"""SELECT {", ".join(f"h.{name}" for name in (*_KEY, *_SEEN))} FROM v JOIN campaign_hits h
        ON {" AND ".join(f"h.{name} = v.{name}" for name in _KEY)}""",  # noqa: S608
    **_typed(_KEY),
)
_put_hits = insert_batch(
    campaign_hits, *_KEY, "variant", *_SEEN,
    tail=f"""ON CONFLICT ({", ".join(_KEY)})
             DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _SEEN)}""",
)  # fmt: skip
_links = Batch(
    """SELECT l.organization_id, l.campaign_id, l.number, l.url FROM v JOIN campaign_links l
       ON l.organization_id = v.organization_id AND l.campaign_id = v.campaign_id""",
    organization_id=int,
    campaign_id=bytes,
)
_add_links = insert_batch(
    campaign_links, "organization_id", "campaign_id", "number", "url", tail="ON CONFLICT DO NOTHING"
)
_counts = Batch(
    f"""SELECT c.campaign_id, c.variant, c.measure, c.count, c.first_at, c.last_at
        FROM v JOIN campaign_counts c ON c.organization_id = v.organization_id
        AND c.campaign_id = v.campaign_id AND c.link = {CAMPAIGN}""",  # noqa: S608
    organization_id=int,
    campaign_id=bytes,
)


_MEASURES = {measure.value: measure for measure in Measure}  # thousands of rows ask
_COLUMN = {Who.ALL: "times", Who.HUMAN: "human", Who.SCANNER: "scanner"}
_AT = "organization_id = :organization_id AND campaign_id = :campaign_id"
_pages = {
    who: Statement(
        f"""SELECT message_id FROM campaign_hits
            WHERE {_AT} AND kind = :kind AND link = {CAMPAIGN} AND {column} > 0
            ORDER BY message_id LIMIT :limit OFFSET :offset"""  # noqa: S608
    )
    for who, column in _COLUMN.items()
}
_hit_messages = Statement(
    f"""SELECT count(*) FROM (SELECT 1 AS one FROM campaign_hits
        WHERE {_AT} AND kind = :kind AND link = {CAMPAIGN} LIMIT :most) AS found"""  # noqa: S608
)
_link_sums = Statement(
    f"""SELECT l.url, c.measure, CAST(SUM(c.count) AS BIGINT), MIN(c.first_at), MAX(c.last_at)
        FROM campaign_links l JOIN campaign_counts c ON c.organization_id = l.organization_id
          AND c.campaign_id = l.campaign_id AND c.link = l.number
        WHERE l.{_AT.replace("AND ", "AND l.")}
        GROUP BY l.url, c.measure"""  # noqa: S608
)


def _of_step(columns: str, grouped: str) -> PerRow:
    return PerRow(
        f"""SELECT {columns}, CAST(SUM(r.count) AS BIGINT) AS count FROM campaign_rollups r
            WHERE r.organization_id = :organization_id AND r.campaign_id = :campaign_id
              AND r.step_ms = :step_ms AND r.measure = :of_measure AND r.bucket >= :since
              AND r.bucket < :until
            GROUP BY {grouped}""",  # noqa: S608
        organization_id=int,
        campaign_id=bytes,
        step_ms=int,
        of_measure=str,
        since=int,
        until=int,
    )


_spans = _of_step("r.bucket, r.measure", "r.measure, r.bucket")
_totals = _of_step("r.measure", "r.measure")
_last_day = PerRow(
    f"""SELECT r.bucket FROM campaign_rollups r
        WHERE r.organization_id = :organization_id AND r.campaign_id = :campaign_id AND r.step_ms = {DAY}
          AND r.measure = :of_measure ORDER BY r.bucket DESC LIMIT 1""",  # noqa: S608
    organization_id=int,
    campaign_id=bytes,
    of_measure=str,
)
_OF_CAMPAIGNS = {
    "sent": {Measure.ACCEPTED: 1, Measure.CANCELLED: -1},
    "delivered": {Measure.DELIVERED: 1},
    "opened": {Measure.OPENED_UNIQUE: 1},
    "clicked": {Measure.CLICKED_UNIQUE: 1},
}


def _summed() -> str:
    """A column for each name of _OF_CAMPAIGNS."""
    columns = []
    for name, signs in _OF_CAMPAIGNS.items():
        cases = " ".join(f"WHEN '{measure}' THEN {sign} * c.count" for measure, sign in signs.items())
        columns.append(f"SUM(CASE c.measure {cases} ELSE 0 END) AS {name}")
    return ", ".join(columns)


_MEASURED = ", ".join(f"'{measure}'" for signs in _OF_CAMPAIGNS.values() for measure in signs)
_rates = Batch(
    f"""SELECT COUNT(*), SUM(CASE WHEN t.delivered > 0 THEN t.opened * 1.0 / t.delivered ELSE 0 END),
          SUM(CASE WHEN t.delivered > 0 THEN t.clicked * 1.0 / t.delivered ELSE 0 END)
        FROM (SELECT {_summed()} FROM v JOIN campaign_counts c ON c.organization_id = v.organization_id
          AND c.campaign_id = v.campaign_id AND c.link = {CAMPAIGN} AND c.measure IN ({_MEASURED})
          GROUP BY c.campaign_id) t
        WHERE t.sent > 0""",  # noqa: S608
    organization_id=int,
    campaign_id=bytes,
)


def add(tx: Tx, places: Mapping[Place, int], sums: Mapping[Sum, Seen]) -> None:
    """Add counts of quarters of an hour, with what is summed of them; and of whole campaigns and links."""
    add_rows(tx, rows_of(places))
    add_sums(tx, sums)


def rows_of(places: Mapping[Place, int]) -> list[Row]:
    """In order; of quarters of an hour, hours and days."""
    found: Counter[tuple[int, RowId, int, str, int, int]] = Counter()
    for place, count in places.items():
        for step in (FINE, *STEPS):
            bucket = place.bucket - place.bucket % step
            found[
                place.organization_id, place.campaign_id, step, place.measure.value, bucket, place.variant
            ] += count
    return [(*place, count) for place, count in sorted(found.items()) if count]


def add_rows(tx: Tx, rows: Sequence[Row]) -> None:
    """Places with nothing left go."""
    if rows:
        _add_rows(tx, rows)
    if less := [row[:-1] for row in rows if row[-1] < 0]:
        _drop_rows(tx, less)


def add_sums(tx: Tx, sums: Mapping[Sum, Seen]) -> None:
    """As add_rows; first and last times only widen."""
    told = [(place, seen) for place, seen in sorted(sums.items()) if seen.times or seen.first_at is not None]
    if told:
        _add_sums(tx, [(*place, seen.times, seen.first_at, seen.last_at) for place, seen in told])
    if less := [place for place, seen in told if seen.times < 0]:
        _drop_sums(tx, less)


def hits(tx: Tx, keys: Iterable[Key]) -> dict[Key, Hits]:
    """What is kept of these."""
    return {_key_of(row): _hits_of(row[len(_KEY) :]) for row in _hits(tx, sorted(set(keys)))}


def put_hits(tx: Tx, rows: Mapping[tuple[Key, int], Hits]) -> None:
    """Hits by key and variant, as they stand from now on."""
    told = [
        (*key, variant, *(value for who in _WHO for value in _values(its.get(who))))
        for (key, variant), its in sorted(rows.items(), key=lambda each: each[0])
    ]
    if told:
        _put_hits(tx, told)


def links(tx: Tx, campaigns: Iterable[tuple[int, RowId]]) -> dict[tuple[int, RowId], dict[str, int]]:
    """The numbers of links by their URLs, of (organization, campaign) pairs."""
    found: dict[tuple[int, RowId], dict[str, int]] = {}
    for organization_id, campaign_id, number, url in _links(tx, sorted(set(campaigns))):
        found.setdefault((organization_id, campaign_id), {})[url] = number
    return found


def add_links(tx: Tx, new: Sequence[tuple[int, RowId, int, str]]) -> None:
    """(organization, campaign, number, url)."""
    if new:
        _add_links(tx, new)


def counts(
    tx: Tx, organization_id: int, campaign_ids: Iterable[RowId]
) -> dict[RowId, dict[int, dict[Measure, Seen]]]:
    """By campaign, variant and measure."""
    found: dict[RowId, dict[int, dict[Measure, Seen]]] = {}
    wanted = sorted({(organization_id, campaign_id) for campaign_id in campaign_ids})
    for campaign_id, variant, measure, *seen in _counts(tx, wanted):
        found.setdefault(campaign_id, {}).setdefault(variant, {})[Measure(measure)] = Seen(*seen)
    return found


def rates(tx: Tx, organization_id: int, campaign_ids: Iterable[RowId]) -> tuple[int, float, float]:
    """How many of them were sent to anybody, and the sums of their open and click rates."""
    wanted = sorted({(organization_id, campaign_id) for campaign_id in campaign_ids})
    found = _rates(tx, wanted)
    return (
        sum(row[0] for row in found),
        sum(float(row[1] or 0) for row in found),
        sum(float(row[2] or 0) for row in found),
    )


Piece = tuple[int, int, int]  # a step, and the buckets of it: since, and before until


def spans(
    tx: Tx, organization_id: int, campaign_id: RowId, measures: Iterable[Measure], piece: Piece
) -> dict[int, dict[Measure, int]]:
    """Counts by bucket, of those in which there are any."""
    found: dict[int, dict[Measure, int]] = {}
    rows = [(organization_id, campaign_id, piece[0], measure.value, *piece[1:]) for measure in measures]
    for bucket, measure, count in _spans(tx, rows):
        found.setdefault(bucket, {})[_MEASURES[measure]] = count
    return found


def totals(tx: Tx, organization_id: int, campaign_id: RowId, pieces: Iterable[Piece]) -> Counter[Measure]:
    """Counts of all pieces together."""
    found: Counter[Measure] = Counter()
    rows = [
        (organization_id, campaign_id, step, measure, since, until)
        for step, since, until in pieces
        for measure in _MEASURES
    ]
    for measure, count in _totals(tx, rows):
        found[_MEASURES[measure]] += count
    return found


def last_day(tx: Tx, organization_id: int, campaign_id: RowId, measures: Iterable[Measure]) -> int | None:
    """The last day on which any of these was counted, None where there is none."""
    rows = [(organization_id, campaign_id, measure.value) for measure in measures]
    return max((row[0] for row in _last_day(tx, rows)), default=None)


def link_sums(tx: Tx, organization_id: int, campaign_id: RowId) -> dict[str, dict[Measure, Seen]]:
    """By URL."""
    found: dict[str, dict[Measure, Seen]] = {}
    for url, measure, *seen in _link_sums(tx, organization_id=organization_id, campaign_id=campaign_id):
        found.setdefault(url, {})[Measure(measure)] = Seen(*seen)
    return found


def page(
    tx: Tx, organization_id: int, campaign_id: RowId, kind: HitKind, who: Who, *, limit: int, offset: int
) -> list[RowId]:
    """The messages that had such hits, in order, past the first `offset`."""
    rows = _pages[who](
        tx, organization_id=organization_id, campaign_id=campaign_id, kind=int(kind), limit=limit,
        offset=offset,
    )  # fmt: skip
    return [row[0] for row in rows]


def hit_messages(tx: Tx, organization_id: int, campaign_id: RowId, kind: HitKind, *, most: int) -> int:
    """How many messages had such hits, counted to `most`."""
    ((found,),) = _hit_messages(
        tx, organization_id=organization_id, campaign_id=campaign_id, kind=int(kind), most=most
    )
    return int(found)


def _key_of(row: Sequence[Any]) -> Key:
    return Key(*row[: len(_KEY)])


def _hits_of(values: Sequence[Any]) -> Hits:
    return {who: Seen(*values[3 * place : 3 * place + 3]) for place, who in enumerate(_WHO)}


def _values(seen: Seen | None) -> tuple[int, int | None, int | None]:
    return (0, None, None) if seen is None else (seen.times, seen.first_at, seen.last_at)
