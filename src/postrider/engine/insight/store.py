"""The SQL of rollups: added to by batches, summed over spans of time."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, Table, cast, func, select

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow, insert_batch
from postrider.engine.insight.model import Measure
from postrider.engine.insight.tables import rollups, tag_rollups
from postrider.engine.insight.tally import Place, TagPlace, Tally
from postrider.kit.ids import RowId

Row = tuple[int, int, str, bytes, int, int, int]  # a Place, its shard, the count
TagRow = tuple[int, int, bytes, str, str, int, int]

_PLACE = ("organization_id", "bucket", "measure", "domain_id", "stream", "shard")
_TAG_PLACE = ("organization_id", "bucket", "domain_id", "tag", "measure", "shard")


def _upsert(table: Table, place: Sequence[str]) -> Batch:
    tail = f"ON CONFLICT ({', '.join(place)}) DO UPDATE SET count = {table.name}.count + excluded.count"
    return insert_batch(table, *place, "count", tail=tail)


def _drop_empty(table: Table, place: Sequence[str]) -> Batch:
    columns = {name: _TYPES[name] for name in place}
    listed = ", ".join(place)
    return Batch(
        f"DELETE FROM {table.name} WHERE ({listed}) IN (SELECT {listed} FROM v) AND count = 0",  # noqa: S608
        **columns,
    )


_TYPES: dict[str, type] = {
    "organization_id": int, "bucket": int, "measure": str, "domain_id": bytes, "stream": int, "shard": int,
    "tag": str,
}  # fmt: skip
_add = _upsert(rollups, _PLACE)
_add_tags = _upsert(tag_rollups, _TAG_PLACE)
_drop = _drop_empty(rollups, _PLACE)
_drop_tags = _drop_empty(tag_rollups, _TAG_PLACE)


def _sums(table: Table, *narrowed: str) -> PerRow:
    """Sums of each span by measure; `narrowed`: the columns that must be the span's."""
    conditions = "".join(f" AND r.{name} = :{name}" for name in narrowed)
    return PerRow(
        f"""SELECT :since AS since, r.measure, CAST(SUM(r.count) AS BIGINT) AS count FROM {table.name} r
            WHERE r.organization_id = :organization_id AND r.bucket >= :since AND r.bucket < :until
              {conditions} GROUP BY r.measure""",  # noqa: S608
        organization_id=int,
        since=int,
        until=int,
        domain_id=bytes,
        tag=str,
    )


_SUMS = {
    (False, False): _sums(rollups),
    (True, False): _sums(rollups, "domain_id"),
    (False, True): _sums(tag_rollups, "tag"),
    (True, True): _sums(tag_rollups, "domain_id", "tag"),
}


def add(tx: Tx, shard: int, found: Tally) -> None:
    """Add a tally of one shard; places in order, so that no two writers wait for each other in a ring."""
    add_rows(tx, [(*place, shard, count) for place, count in sorted(found.places.items())])
    add_tag_rows(tx, [(*place, shard, count) for place, count in sorted(found.tag_places.items())])


def add_rows(tx: Tx, rows: Sequence[Row]) -> None:
    if rows:
        _add(tx, rows)


def add_tag_rows(tx: Tx, rows: Sequence[TagRow]) -> None:
    if rows:
        _add_tags(tx, rows)


def drop_empty(tx: Tx, rows: Sequence[Row]) -> None:
    """Of these places, those with nothing left."""
    if rows:
        _drop(tx, [row[:-1] for row in rows])


def drop_empty_tags(tx: Tx, rows: Sequence[TagRow]) -> None:
    if rows:
        _drop_tags(tx, [row[:-1] for row in rows])


def sums(
    tx: Tx,
    organization_id: int,
    spans: Sequence[tuple[int, int]],
    *,
    domain_id: RowId | None,
    tag: str | None,
) -> dict[int, dict[Measure, int]]:
    """Counts by the start of each span that has any, and measure."""
    statement = _SUMS[domain_id is not None, tag is not None]
    rows = [(organization_id, start, end, domain_id or b"", tag or "") for start, end in spans]
    found: dict[int, dict[Measure, int]] = {}
    for since, measure, count in statement(tx, rows):
        found.setdefault(since, {})[Measure(measure)] = count
    return found


def top_tags(
    tx: Tx,
    organization_id: int,
    start: int,
    end: int,
    *,
    domain_id: RowId | None,
    limit: int,
) -> dict[str, dict[Measure, int]]:
    """Counts by tag and measure, of the tags with most events; the most first."""
    table = tag_rollups.c
    within: list[ColumnElement[bool]] = [
        table.organization_id == organization_id,
        table.bucket >= start,
        table.bucket < end,
    ]
    if domain_id is not None:
        within.append(table.domain_id == domain_id)
    amount = cast(func.sum(table.count), BigInteger)
    most = select(table.tag).where(*within).group_by(table.tag).order_by(amount.desc(), table.tag)
    tags = list(tx.scalars(most.limit(limit)))
    found: dict[str, dict[Measure, int]] = {tag: {} for tag in tags}
    rows = tx.execute(
        select(table.tag, table.measure, amount)
        .where(*within, table.tag.in_(tags))
        .group_by(table.tag, table.measure)
    )
    for tag, measure, count in rows:
        found[tag][Measure(measure)] = count
    return found


def kept(tx: Tx, organization_id: int, since: int) -> dict[tuple[Place, int], int]:
    """Counts by place and shard, of buckets from `since` on."""
    rows = tx.execute(
        select(*(rollups.c[name] for name in (*_PLACE, "count"))).where(
            rollups.c.organization_id == organization_id, rollups.c.bucket >= since
        )
    )
    return {((row[0], row[1], row[2], row[3], row[4]), row[5]): row[6] for row in rows}


def kept_tags(tx: Tx, organization_id: int, since: int) -> dict[tuple[TagPlace, int], int]:
    """As kept, by tag."""
    rows = tx.execute(
        select(*(tag_rollups.c[name] for name in (*_TAG_PLACE, "count"))).where(
            tag_rollups.c.organization_id == organization_id, tag_rollups.c.bucket >= since
        )
    )
    return {((row[0], row[1], row[2], row[3], row[4]), row[5]): row[6] for row in rows}
