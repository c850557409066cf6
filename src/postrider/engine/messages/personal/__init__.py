"""Making messages to one person anonymous: that they were sent, and what came of them, stays counted."""

from postrider.engine.messages.personal.store import ERASED, Found, anonymise, of_address

__all__ = ["ERASED", "Found", "anonymise", "of_address"]
