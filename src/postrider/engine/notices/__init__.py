"""The platform's own mail: what it tells the people of an organization, and alerts to its operator."""

from postrider.engine.notices.model import FORMS, Audience, Kind, Letterhead, Notice
from postrider.engine.notices.send import drop_old, send

__all__ = ["FORMS", "Audience", "Kind", "Letterhead", "Notice", "drop_old", "send"]
