"""The SQL of frequency: counts by address, one query for a page of addresses."""

from collections.abc import Collection, Iterable

from postrider.db.database import Tx
from postrider.db.portable import Batch
from postrider.engine.messages.model import Status, Stream
from postrider.kit.ids import id_floor

NEWEST_MAX = 1_000  # of one address's messages that are looked at; no cap is as high
_UNMAILED = ", ".join(str(int(status)) for status in (Status.FAILED, Status.SUPPRESSED, Status.CANCELLED))

# Ids tell their time, so ix_messages_address holds all that says which messages are recent. The inner query
# reads that index alone, and no more of it than NEWEST_MAX: otherwise SQLite would walk through all that the
# organization sent since.
_recent = Batch(
    f"""SELECT v.address_key, (
          SELECT COUNT(*) FROM (
            SELECT m.id FROM messages m
            WHERE m.organization_id = v.organization_id AND m.address_key = v.address_key AND m.id >= v.floor
            ORDER BY m.id DESC LIMIT {NEWEST_MAX}) AS newest
          JOIN messages m ON m.organization_id = v.organization_id AND m.id = newest.id
          WHERE (v.streams & (1 << m.stream)) <> 0 AND m.is_test = 0 AND m.status NOT IN ({_UNMAILED}))
        FROM v""",  # noqa: S608
    organization_id=int,
    address_key=str,
    floor=bytes,
    streams=int,
)


def recently_mailed(
    tx: Tx, organization_id: int, address_keys: Iterable[str], *, since: int, streams: Collection[Stream]
) -> dict[str, int]:
    """How many messages of `streams` made at `since` (ms) or later went to each address, or are to go.

    Addresses without any are left out, and so are test copies and what was cancelled, refused or given up.
    Counts end at NEWEST_MAX. Meant for pages of a thousand addresses.
    """
    floor, mask = id_floor(since), sum(1 << stream for stream in set(streams))
    asked = [(organization_id, key, floor, mask) for key in sorted(set(address_keys))]
    return {key: count for key, count in _recent(tx, asked) if count}
