"""The mail that asks whether a subscription was meant."""

from postrider.db.database import Tx
from postrider.engine.audience.model import Contact
from postrider.engine.notices.model import Kind, Letterhead, Notice
from postrider.engine.notices.send import send
from postrider.kit import clock


def ask_to_confirm(letterhead: Letterhead, tx: Tx, contact: Contact, *, url: str, sender: str) -> bool:
    """Once a day for a contact, however often its address is typed; False where it was asked already."""
    source_id = f"opt-in:{contact.id.hex()}:{clock.now_ms() // clock.DAY}"
    facts = {"url": url, "sender": sender, "email": contact.email}
    return send(
        tx, letterhead, Notice(contact.organization_id, Kind.OPT_IN, source_id, facts, (contact.email,))
    )
