"""What is kept of mail that has ended: rows stay, bodies and attachments go."""

from postrider.engine.messages.retention.store import Page, drop_attachments, drop_bodies

__all__ = ["Page", "drop_attachments", "drop_bodies"]
