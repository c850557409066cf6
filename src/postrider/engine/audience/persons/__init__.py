"""Whom an event is about, for whoever tells of events: batches of any organizations. Changes nothing."""

from postrider.engine.audience.persons.store import Person, by_addresses, by_ids

__all__ = ["Person", "by_addresses", "by_ids"]
