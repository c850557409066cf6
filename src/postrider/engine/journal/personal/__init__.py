"""The events of one person: read for it, and made anonymous when it is forgotten."""

from postrider.engine.journal.personal.store import Walked, anonymise, of_contact, of_messages

__all__ = ["Walked", "anonymise", "of_contact", "of_messages"]
