"""The SQL of coarse rollups. They hold nothing that rollups do not: both are written in one transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence

from postrider.db.database import Tx
from postrider.db.portable import PerRow, Statement, insert_batch
from postrider.engine.insight.coarse.pieces import FINE, STEPS, TAG_STEPS, Piece
from postrider.engine.insight.model import Measure
from postrider.engine.insight.tables import coarse_rollups, coarse_tag_rollups
from postrider.engine.insight.tally import Tally
from postrider.kit import clock
from postrider.kit.ids import ID_BYTES, RowId

ALL_DOMAINS = b"\xff" * ID_BYTES

Place = tuple[int, int, bytes, int, str]  # organization, step in ms, domain, bucket, measure
TagPlace = tuple[int, int, bytes, int, str, str]  # the tag before the measure

_PLACE = ("organization_id", "step_ms", "domain_id", "bucket", "measure")
_TAG_PLACE = ("organization_id", "step_ms", "domain_id", "bucket", "tag", "measure")
_ENDS = ("since", "until")
_add = insert_batch(
    coarse_rollups, *_PLACE, "count",
    tail=f"ON CONFLICT ({', '.join(_PLACE)}) DO UPDATE SET count = coarse_rollups.count + excluded.count",
)  # fmt: skip
_add_tags = insert_batch(
    coarse_tag_rollups, *_TAG_PLACE, "count",
    tail=f"""ON CONFLICT ({', '.join(_TAG_PLACE)})
             DO UPDATE SET count = coarse_tag_rollups.count + excluded.count""",
)  # fmt: skip


def _sums_of(table: str, narrowed: str) -> PerRow:
    return PerRow(
        f"""SELECT :span AS span, r.measure, CAST(SUM(r.count) AS BIGINT) AS count FROM {table} r
            WHERE r.organization_id = :organization_id AND r.bucket >= :since AND r.bucket < :until
              {narrowed} GROUP BY r.measure""",  # noqa: S608
        span=int,
        organization_id=int,
        step_ms=int,
        since=int,
        until=int,
        domain_id=bytes,
        tag=str,
    )


_AT = "AND r.step_ms = :step_ms AND r.domain_id = :domain_id"
_sums = _sums_of("coarse_rollups", _AT)
_tag_sums = _sums_of("coarse_tag_rollups", "AND r.step_ms = :step_ms AND r.tag = :tag")
_domain_tag_sums = _sums_of("coarse_tag_rollups", f"{_AT} AND r.tag = :tag")
_fine_sums = _sums_of("rollups", "")
_fine_domain_sums = _sums_of("rollups", "AND r.domain_id = :domain_id")
_fine_tag_sums = _sums_of("tag_rollups", "AND r.tag = :tag")
_fine_domain_tag_sums = _sums_of("tag_rollups", "AND r.tag = :tag AND r.domain_id = :domain_id")


def _top(narrowed: str) -> Statement:
    columns, time = "SELECT tag, measure, count FROM", "bucket >= :{0}_since AND bucket < :{0}_until"
    within = f"organization_id = :organization_id {narrowed} AND {time}"
    parts = [f"{columns} tag_rollups WHERE {within.format(name)}" for name in _names(FINE)]
    parts += [
        f"{columns} coarse_tag_rollups WHERE step_ms = {step} AND {within.format(name)}"
        for step in TAG_STEPS
        for name in _names(step)
    ]
    return Statement(
        f"""WITH found AS MATERIALIZED (
              SELECT tag, measure, CAST(SUM(count) AS BIGINT) AS count
              FROM ({" UNION ALL ".join(parts)}) AS parts GROUP BY tag, measure),
            top AS (SELECT tag, SUM(count) AS amount FROM found GROUP BY tag
                    ORDER BY amount DESC, tag LIMIT :most)
            SELECT found.tag, found.measure, found.count FROM top JOIN found ON found.tag = top.tag
            ORDER BY top.amount DESC, found.tag"""  # noqa: S608
    )


def _names(step: int) -> tuple[str, ...]:
    """Of a step's pieces: one on each side of what is coarser."""
    name = "abcd"[(FINE, *TAG_STEPS).index(step)]
    return (name,) if step == TAG_STEPS[-1] else (f"{name}_left", f"{name}_right")


_top_of_all = _top("")
_top_of_domain = _top("AND domain_id = :domain_id")


def add(tx: Tx, found: Tally) -> None:
    """Add a tally, in the transaction that adds it to the rollups; places in order, as there."""
    places, tag_places = summed(found)
    add_rows(tx, [(*place, count) for place, count in sorted(places.items()) if count])
    add_tag_rows(tx, [(*place, count) for place, count in sorted(tag_places.items()) if count])


def add_rows(tx: Tx, rows: Sequence[tuple[int, int, bytes, int, str, int]]) -> None:
    if rows:
        _add(tx, rows)


def add_tag_rows(tx: Tx, rows: Sequence[tuple[int, int, bytes, int, str, str, int]]) -> None:
    if rows:
        _add_tags(tx, rows)


def summed(found: Tally) -> tuple[Counter[Place], Counter[TagPlace]]:
    """A tally by coarser steps, of each domain; where no tag is asked for, of all of them too."""
    places: Counter[Place] = Counter()
    tag_places: Counter[TagPlace] = Counter()
    for (organization_id, at, measure, domain_id, _stream), count in found.places.items():
        for step in STEPS:
            bucket = start_of(at, step)
            places[organization_id, step, domain_id, bucket, measure] += count
            places[organization_id, step, ALL_DOMAINS, bucket, measure] += count
    for (organization_id, at, domain_id, tag, measure), count in found.tag_places.items():
        for step in TAG_STEPS:
            tag_places[organization_id, step, domain_id, start_of(at, step), tag, measure] += count
    return places, tag_places


def sums(
    tx: Tx, organization_id: int, pieces: Iterable[Piece], *, domain_id: RowId | None
) -> dict[int, Counter[Measure]]:
    """Counts by span and measure."""
    fine = _fine_sums if domain_id is None else _fine_domain_sums
    return _added(tx, fine, _sums, _rows(organization_id, pieces, domain_id, ""))


def tag_sums(
    tx: Tx, organization_id: int, pieces: Iterable[Piece], *, domain_id: RowId | None, tag: str
) -> dict[int, Counter[Measure]]:
    """As sums, of the mails with a tag."""
    rows = _rows(organization_id, pieces, domain_id, tag)
    if domain_id is None:
        return _added(tx, _fine_tag_sums, _tag_sums, rows)
    return _added(tx, _fine_domain_tag_sums, _domain_tag_sums, rows)


def top_tags(
    tx: Tx, organization_id: int, pieces: Sequence[Piece], *, domain_id: RowId | None, limit: int
) -> dict[str, dict[Measure, int]]:
    """Counts by tag and measure of one span's pieces, of the tags with most events; the most first."""
    times = {f"{name}_{end}": 0 for step in (FINE, *TAG_STEPS) for name in _names(step) for end in _ENDS}
    for piece in pieces:
        name = next(name for name in _names(piece.step) if not times[f"{name}_until"])
        times |= {f"{name}_since": piece.since, f"{name}_until": piece.until}
    statement = _top_of_all if domain_id is None else _top_of_domain
    rows = statement(tx, organization_id=organization_id, domain_id=domain_id, most=limit, **times)
    found: dict[str, dict[Measure, int]] = {}
    for tag, measure, count in rows:
        found.setdefault(tag, {})[Measure(measure)] = count
    return found


_Row = tuple[int, int, int, int, int, bytes, str]


def _rows(organization_id: int, pieces: Iterable[Piece], domain_id: RowId | None, tag: str) -> list[_Row]:
    domain = domain_id or ALL_DOMAINS
    return [(span, organization_id, step, since, until, domain, tag) for span, step, since, until in pieces]


def _added(tx: Tx, fine: PerRow, coarse: PerRow, rows: Sequence[_Row]) -> dict[int, Counter[Measure]]:
    found: dict[int, Counter[Measure]] = {}
    of_fine = [row for row in rows if row[2] == FINE]
    of_coarse = [row for row in rows if row[2] != FINE]
    for span, measure, count in (*fine(tx, of_fine), *coarse(tx, of_coarse)):
        found.setdefault(span, Counter())[Measure(measure)] += count
    return found


def start_of(at: int, step: int) -> int:
    return at - at % step


_OF_TIME = "organization_id = :organization_id AND bucket >= :since AND bucket < :until"
_wanted = Statement(
    f"""SELECT bucket / {clock.HOUR} * {clock.HOUR} AS hour, measure, domain_id, CAST(SUM(count) AS BIGINT)
        FROM rollups WHERE {_OF_TIME} GROUP BY 1, 2, 3"""  # noqa: S608
)
_wanted_tags = Statement(
    f"""SELECT bucket / {clock.HOUR} * {clock.HOUR} AS hour, domain_id, tag, measure,
          CAST(SUM(count) AS BIGINT) FROM tag_rollups WHERE {_OF_TIME} GROUP BY 1, 2, 3, 4"""  # noqa: S608
)
_WITHIN = "bucket >= :since AND bucket < :until"


def _of_kept(statement: str) -> Statement:
    return Statement(f"{statement} WHERE organization_id = :organization_id AND {_WITHIN}")


_kept = _of_kept("SELECT step_ms, domain_id, bucket, measure, count FROM coarse_rollups")
_kept_tags = _of_kept("SELECT step_ms, domain_id, bucket, tag, measure, count FROM coarse_tag_rollups")
_drop_empty = Statement(
    f"DELETE FROM coarse_rollups WHERE organization_id = :organization_id AND {_WITHIN} AND count = 0"  # noqa: S608
)
_drop_empty_tags = Statement(
    f"DELETE FROM coarse_tag_rollups WHERE organization_id = :organization_id AND {_WITHIN} AND count = 0"  # noqa: S608
)
_ends = Statement(
    """SELECT min(first), max(last) FROM (
         SELECT min(bucket) AS first, max(bucket) AS last FROM rollups
         WHERE organization_id = :organization_id
         UNION ALL SELECT min(bucket), max(bucket) FROM coarse_rollups
         WHERE organization_id = :organization_id) AS both_of_them"""
)


def ends(tx: Tx, organization_id: int) -> tuple[int, int] | None:
    """The first and last bucket of an organization, None where it has none."""
    ((first, last),) = _ends(tx, organization_id=organization_id)
    return None if first is None else (first, last)


def wanted(tx: Tx, organization_id: int, since: int, until: int) -> Tally:
    """What the rollups say of a time, by hours."""
    of_time = {"organization_id": organization_id, "since": since, "until": until}
    places = {
        (organization_id, hour, measure, domain_id, 0): count
        for hour, measure, domain_id, count in _wanted(tx, **of_time)
    }
    tag_places = {
        (organization_id, hour, domain_id, tag, measure): count
        for hour, domain_id, tag, measure, count in _wanted_tags(tx, **of_time)
    }
    return Tally(Counter(places), Counter(tag_places))


def kept(
    tx: Tx, organization_id: int, since: int, until: int
) -> tuple[dict[Place, int], dict[TagPlace, int]]:
    of_time = {"organization_id": organization_id, "since": since, "until": until}
    return (
        {(organization_id, *place): count for *place, count in _kept(tx, **of_time)},
        {(organization_id, *place): count for *place, count in _kept_tags(tx, **of_time)},
    )


def drop_empty(tx: Tx, organization_id: int, since: int, until: int) -> None:
    """Places with nothing left."""
    for statement in (_drop_empty, _drop_empty_tags):
        statement(tx, organization_id=organization_id, since=since, until=until)
