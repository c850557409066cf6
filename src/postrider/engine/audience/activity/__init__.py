"""What happened with one contact: its mail, newest first, and all of it in the order of time."""

from postrider.engine.audience.activity.find import MAILS_MAX, Email, Happening, count, emails, timeline
from postrider.engine.audience.activity.store import Part

__all__ = ["MAILS_MAX", "Email", "Happening", "Part", "count", "emails", "timeline"]
