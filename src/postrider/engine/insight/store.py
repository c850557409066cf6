"""The SQL of rollups: added to by batches, summed over spans of time."""

from collections.abc import Sequence

from sqlalchemy import Table, select

from postrider.db.database import Tx
from postrider.db.portable import Batch, PerRow, insert_batch
from postrider.engine.insight.model import Measure
from postrider.engine.insight.tables import rollups, tag_rollups
from postrider.engine.insight.tally import Place, TagPlace, Tally

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


_by_stream = PerRow(
    """SELECT :organization_id AS organization_id, :of_stream AS of_stream, :since AS since, r.measure,
         CAST(SUM(r.count) AS BIGINT) AS count FROM rollups r
       WHERE r.organization_id = :organization_id AND r.bucket >= :since AND r.stream = :of_stream
       GROUP BY r.measure""",
    organization_id=int,
    of_stream=int,
    since=int,
)


def add(tx: Tx, shard: int, found: Tally) -> None:
    """Add a tally of one shard; places in order, so that no two writers wait for each other in a ring."""
    rows = [(*place, shard, count) for place, count in sorted(found.places.items()) if count]
    tag_rows = [(*place, shard, count) for place, count in sorted(found.tag_places.items()) if count]
    add_rows(tx, rows)
    add_tag_rows(tx, tag_rows)
    drop_empty(tx, [row for row in rows if row[-1] < 0])
    drop_empty_tags(tx, [row for row in tag_rows if row[-1] < 0])


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


def by_stream(tx: Tx, rows: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int, int], dict[Measure, int]]:
    """Counts of each (organization, stream, first bucket) since then, by measure."""
    found: dict[tuple[int, int, int], dict[Measure, int]] = {}
    for organization_id, stream, since, measure, count in _by_stream(tx, rows):
        found.setdefault((organization_id, stream, since), {})[Measure(measure)] = count
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
