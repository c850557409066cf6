"""The SQL of rollups."""

from collections.abc import Mapping

from postrider.db.database import Tx
from postrider.db.portable import insert_batch
from postrider.engine.insight.tables import rollups

Place = tuple[int, int, str, bytes, int]  # organization, bucket, measure, domain, stream

_add = insert_batch(
    rollups,
    "organization_id", "bucket", "measure", "domain_id", "stream", "shard", "count",
    tail="""ON CONFLICT (organization_id, bucket, measure, domain_id, stream, shard)
            DO UPDATE SET count = rollups.count + excluded.count""",
)  # fmt: skip


def add_counts(tx: Tx, shard: int, counts: Mapping[Place, int]) -> None:
    if counts:
        _add(tx, [(*place, shard, count) for place, count in sorted(counts.items())])
