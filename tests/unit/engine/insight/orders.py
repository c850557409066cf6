"""A shop whose campaigns are read and bring orders: what tests of conversions and accounts start from."""

from typing import Any

from sqlalchemy import text
from tests.unit.engine.insight.world import World, id_at

from postrider.app import FOLLOWERS
from postrider.db.database import Database
from postrider.engine import accounts
from postrider.engine.audience import contacts
from postrider.engine.audience.model import ContactInput, OnKnown
from postrider.engine.insight import conversions
from postrider.engine.insight.conversions import NewConversion, Recorded
from postrider.engine.journal import EventKind
from postrider.engine.journal.follow import Dispatch
from postrider.kit import clock
from postrider.kit.ids import RowId

NOW = 1_795_000_000_000
HUMAN = {"human": True, "scanner": {"score": 0, "reasons": []}}
SCANNER = {"human": False, "scanner": {"score": 9, "reasons": []}}


class Shop(World):
    """All followers hear what happens. `now` is its own clock; it has none where nobody gives it a time."""

    def __init__(self, database: Database, organization_id: int, now: int | None = NOW) -> None:
        super().__init__(database, organization_id)
        self.dispatch = Dispatch(database, FOLLOWERS, "test")
        self.now = now or clock.now_ms()
        if now is not None:
            clock.set_source(lambda: self.now)

    def campaign(self, name: str = "Spring") -> RowId:
        campaign_id = id_at(self.now)
        self.sql(
            """INSERT INTO campaigns (organization_id, id, kind, name, status, total, accepted, skipped,
                 created_at) VALUES (:organization_id, :id, 'campaign', :name, 'sent', 1, 1, 0, :at)""",
            id=campaign_id,
            name=name,
            at=self.now,
        )
        return campaign_id

    def contact(self, email: str = "ann@example.com", **said: Any) -> RowId:
        (saved,) = self.database.write_now(
            lambda tx: contacts.save(
                tx, self.principal, [ContactInput(email=email, **said)], on_known=OnKnown.UPDATE, source="api"
            )
        )
        assert saved.contact_id is not None, saved.faults
        return saved.contact_id

    def mail_of(self, campaign_id: RowId | None, *, at: int, recipient: str = "ann@example.com") -> RowId:
        """A mail of a campaign that was delivered at once."""
        message_id = self.mail(at, recipient=recipient, campaign_id=campaign_id)
        for kind in (EventKind.ACCEPTED, EventKind.SENT, EventKind.DELIVERED):
            self.happen(kind, at, message_id)
        return message_id

    def order(self, **told: Any) -> Recorded:
        new = NewConversion(**{"amount_mils": 49_000, **told})
        return self.database.write_now(conversions.record_order, self.principal, new)

    def settings(self, **changed: Any) -> None:
        self.database.write_now(accounts.change_settings, self.organization_id, changed)

    def sql(self, statement: str, **facts: Any) -> list[Any]:
        def run(tx: Any) -> list[Any]:
            done = tx.execute(text(statement), {"organization_id": self.organization_id, **facts})
            return list(done) if done.returns_rows else []

        return self.database.write_now(run)
