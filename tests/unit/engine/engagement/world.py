"""An organization whose mail is fetched from: hits at any time, recorded when the world's clock says so."""

from dataclasses import dataclass, field
from typing import Any

from tests.unit.engine.insight.world import World

from postrider.engine import engagement, insight, journal, messages
from postrider.engine.engagement import Hit, HitKind, Sources, store
from postrider.engine.insight import Counts, Who
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Stream
from postrider.kit import clock
from postrider.kit.ids import RowId

START = 1_795_000_000_000 - 1_795_000_000_000 % clock.DAY
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
OFFICE, HOME = "198.51.100.7", "203.0.113.9"
LINKS = ("https://a.test/1", "https://a.test/2", "https://a.test/3")


@dataclass
class Watched(World):
    now: int = START
    sources: Sources = field(default_factory=Sources)

    def delivered(self, *, at: int = START - clock.HOUR, links: tuple[str, ...] = LINKS) -> RowId:
        message_id = self.mail(at, links=links, tags=("news",), stream=Stream.BROADCAST)
        self.happen(EventKind.DELIVERED, at, message_id)
        return message_id

    def hit(
        self,
        message_id: RowId,
        link: int | None = None,
        *,
        after_ms: int = 0,
        ip: str = HOME,
        agent: str = CHROME,
        method: str = "GET",
        hidden: bool = False,
    ) -> None:
        kind = HitKind.HIDDEN if hidden else HitKind.OPEN if link is None else HitKind.CLICK
        hit = Hit(self.organization_id, message_id, kind, link, ip, agent, method, START + after_ms)
        self.database.write_now(store.insert_hits, [hit])

    def record_until(self, after_ms: int) -> None:
        """What is due so long after START."""
        self.now = START + after_ms
        while self.database.write_now(engagement.record_hits, self.sources):
            pass

    def seen(self, message_id: RowId, kind: EventKind = EventKind.OPENED) -> list[Event]:
        found = self.database.read_now(journal.of_messages, self.organization_id, [message_id])
        return [event for event in found if event.kind is kind]

    def verdicts(self, message_id: RowId, kind: EventKind = EventKind.OPENED) -> list[bool | None]:
        return [(event.data or {}).get("human") for event in self.seen(message_id, kind)]

    def reasons(self, message_id: RowId, kind: EventKind = EventKind.OPENED) -> list[list[str]]:
        return [(event.data or {})["scanner"]["reasons"] for event in self.seen(message_id, kind)]

    def row(self, message_id: RowId) -> Any:
        return self.database.read_now(messages.one, self.organization_id, message_id)

    async def counts(self, who: Who = Who.ALL) -> Counts:
        await self.follow()
        start, end = START - clock.DAY, START + clock.DAY
        return self.database.read_now(
            lambda tx: insight.report(tx, self.principal, who=who, start=start, end=end)
        ).total
