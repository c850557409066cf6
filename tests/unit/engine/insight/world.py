"""Organizations with mail of several domains and tags, to which anything may happen at any time."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert

from postrider.db.database import Database, Tx
from postrider.engine import insight, journal, messages
from postrider.engine.journal import Event, EventKind, Whose
from postrider.engine.journal.follow import Dispatch, Follower
from postrider.engine.messages import Content, ContentKind, NewMessage, Role, Status, Stream
from postrider.engine.principal import Principal
from postrider.engine.sending.tables import campaigns
from postrider.kit import clock
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
        campaign_id: RowId | None = None,
        variant: int | None = None,
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
                content_id=content_id, campaign_id=campaign_id, recipient=recipient, address_key=recipient,
                role=Role.TO, vars=None, stream=stream, declared_stream=stream, domain_id=domain_id,
                created_at=at, due_at=None, is_test=False, status=Status.QUEUED, variant=variant,
            )  # fmt: skip
            messages.insert_messages(tx, [message], [0])

        self.database.write_now(write)
        return message_id

    def new_campaign(self, kind: str = "bulk", *, total: int = 0) -> RowId:
        """A send to many of any kind, and nothing of it yet."""
        campaign_id = new_id()
        values = {
            "organization_id": self.organization_id, "id": campaign_id, "kind": kind, "name": "News",
            "status": "sending", "total": total, "accepted": total, "skipped": 0,
            "created_at": clock.now_ms(),
        }  # fmt: skip
        self.database.write_now(lambda tx: tx.execute(insert(campaigns).values(**values)) and None)
        return campaign_id

    def event(self, kind: EventKind, at: int, message_id: RowId | None, **data: Any) -> Event:
        return Event(self.organization_id, kind, at, message_id, data=data or None, id=id_at(at))

    def record(self, *events: Event) -> None:
        self.database.write_now(journal.record, list(events))

    def happen(self, kind: EventKind, at: int, message_id: RowId | None, **data: Any) -> None:
        self.record(self.event(kind, at, message_id, **data))

    def correct(self, event: Event, now: Whose) -> None:
        """Another verdict, as engagement gives it: a message's first human time moves to the next one."""

        def write(tx: Tx) -> None:
            assert event.message_id is not None
            every = journal.hits_since(tx, [(self.organization_id, event.message_id, b"")])
            same = [each for each in journal.corrected(every, every) if each.kind is event.kind]
            human = sorted(each.at for each in same if (each.data or {}).get("human") is True)
            seen = next(each for each in same if each.id == event.id)
            first = None
            if (seen.data or {}).get("human") is True and human[0] == event.at:
                first = (human[0], human[1] if len(human) > 1 else None)
            at = clock.now_ms()
            journal.record(tx, [journal.correct(seen, now, at=at, scanner={"score": 90}, first=first)])

        self.database.write_now(write)

    async def follow(self) -> None:
        while await self.dispatch.once():
            pass

    def rollups(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table of them."""
        return self.database.read_now(rows_of)


TABLES = (
    *("rollups", "tag_rollups", "coarse_rollups", "coarse_tag_rollups"),
    *("campaign_rollups", "campaign_counts"),
)


def rows_of(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(tuple(row) for row in tx.exec_driver_sql(f"SELECT * FROM {table}")) for table in TABLES
    }
