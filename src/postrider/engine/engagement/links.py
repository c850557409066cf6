"""Where a click leads, and what an opt-out does: both answered from the message behind the token."""

from dataclasses import dataclass

from postrider.db.database import Tx
from postrider.engine import content, journal, messages
from postrider.engine.journal import Event, EventKind
from postrider.kit import clock
from postrider.kit.ids import RowId


@dataclass(frozen=True, slots=True)
class Target:
    """The message behind a token, as far as a public page may show it."""

    organization_id: int
    message_id: RowId
    recipient: str
    from_header: str
    links: list[str]
    vars: dict[str, object] | None
    is_merged: bool  # links are templates
    analytics_tags: dict[str, str]  # that its links carry

    def link(self, index: int) -> str | None:
        """The URL behind a link's index, None where the message carried none such."""
        if not 0 <= index < len(self.links):
            return None
        link = self.links[index]
        url = content.resolve(link, self.vars or {}) if self.is_merged else link
        return content.tag_link(link, url, self.analytics_tags) if url and self.analytics_tags else url


def target_of(tx: Tx, organization_id: int, message_id: RowId) -> Target | None:
    row = messages.one(tx, organization_id, message_id)
    if row is None:
        return None
    return Target(
        organization_id=organization_id,
        message_id=message_id,
        recipient=row.recipient,
        from_header=row.from_header,
        links=row.links or [],
        vars=row.vars,
        is_merged=bool((row.headers or {}).get("merge")),
        analytics_tags=(row.headers or {}).get("analytics_tags") or {},
    )


def unsubscribe(tx: Tx, organization_id: int, message_id: RowId, *, source: str, ip: str = "") -> bool:
    """Record an opt-out, once a message until it is taken back; False: there is no such message.

    `source` is link, one-click, mail or feedback-loop; `ip` from where a page was asked, where one was.
    """
    if messages.one(tx, organization_id, message_id) is None:
        return False
    taken_back = journal.times(tx, organization_id, message_id, EventKind.CONTACT_SUBSCRIBED)
    journal.record(
        tx,
        [
            Event(
                organization_id=organization_id,
                kind=EventKind.UNSUBSCRIBED,
                at=clock.now_ms(),
                message_id=message_id,
                data={"source": source, "ip": ip} if ip else {"source": source},
                source_id=f"unsubscribed:{message_id.hex()}" + (f":{taken_back}" if taken_back else ""),
            )
        ],
    )
    return True
