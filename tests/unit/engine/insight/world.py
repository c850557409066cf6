"""Organizations with mail of several domains and tags, to which anything may happen at any time."""

from dataclasses import dataclass, field
from typing import Any

from postrider.db.database import Database, Tx
from postrider.engine import insight, journal, messages
from postrider.engine.journal import Event, EventKind
from postrider.engine.journal.follow import Dispatch, Follower
from postrider.engine.messages import Content, ContentKind, NewMessage, Role, Status, Stream
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId, id_floor, new_id

OWNER = "test"
FOLLOWERS = (Follower("insight", insight.count),)


def id_at(at: int) -> RowId:
    """A fresh id as if it had been made at a time."""
    return id_floor(at)[:6] + new_id()[6:]


@dataclass
class World:
    """One organization; `mail` makes messages, `happen` records events on them."""

    database: Database
    organization_id: int
    dispatch: Dispatch = field(init=False)

    def __post_init__(self) -> None:
        self.dispatch = Dispatch(self.database, FOLLOWERS, OWNER)
        self.database.write_now(journal.add_shards, journal.SHARDS)

    @property
    def principal(self) -> Principal:
        return Principal(self.organization_id)

    def mail(
        self,
        at: int,
        *,
        recipient: str = "ann@example.com",
        domain_id: RowId | None = None,
        tags: tuple[str, ...] = (),
        links: tuple[str, ...] = (),
        subject: str = "Hello",
        stream: Stream = Stream.TRANSACTIONAL,
    ) -> RowId:
        content_id, message_id = id_at(at), id_at(at)

        def write(tx: Tx) -> None:
            content = Content(
                organization_id=self.organization_id, id=content_id, kind=ContentKind.PARTS,
                from_header="Shop <shop@mail.example.test>", from_address="shop@mail.example.test",
                subject=subject, headers={}, track_opens=True, track_clicks=True, unsubscribe_header=True,
                links=list(links), attachments=[], size_bytes=1, messages=1, created_at=at, expires_at=at,
                tags=list(tags),
            )  # fmt: skip
            messages.insert_contents(tx, [(content, b"{}")])
            message = NewMessage(
                organization_id=self.organization_id, id=message_id, group_id=content_id,
                content_id=content_id, campaign_id=None, recipient=recipient, address_key=recipient,
                role=Role.TO, vars=None, stream=stream, declared_stream=stream, domain_id=domain_id,
                created_at=at, due_at=None, is_test=False, status=Status.QUEUED,
            )  # fmt: skip
            messages.insert_messages(tx, [message], [0])

        self.database.write_now(write)
        return message_id

    def event(self, kind: EventKind, at: int, message_id: RowId | None, **data: Any) -> Event:
        return Event(self.organization_id, kind, at, message_id, data=data or None, id=id_at(at))

    def record(self, *events: Event) -> None:
        self.database.write_now(journal.record, list(events))

    def happen(self, kind: EventKind, at: int, message_id: RowId | None, **data: Any) -> None:
        self.record(self.event(kind, at, message_id, **data))

    async def follow(self) -> None:
        while await self.dispatch.once():
            pass

    def rollups(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table of them."""
        return self.database.read_now(rows_of)


TABLES = ("rollups", "tag_rollups", "coarse_rollups", "coarse_tag_rollups")


def rows_of(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(tuple(row) for row in tx.exec_driver_sql(f"SELECT * FROM {table}")) for table in TABLES
    }
