"""Asking the owner of an address, by mail, whether a subscription was meant."""

from postrider.db.database import Tx
from postrider.engine.audience.model import Contact
from postrider.engine.audience.privacy import Token, Use, tokens
from postrider.engine.notices.optin import ask_to_confirm
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.surfaces.common.services import Services


def ask(services: Services, tx: Tx, contact: Contact, *, sender: str, list_id: RowId | None = None) -> None:
    """Queue the mail, once a day for a contact; who confirms is put on the list. Call `wake` afterwards."""
    token = Token(contact.organization_id, contact.id, list_id, clock.now_ms())
    url = f"{services.base_url}/track/confirm/{tokens.make(services.sealer, Use.CONFIRM, token)}"
    ask_to_confirm(services.letterhead, tx, contact, url=url, sender=sender)
