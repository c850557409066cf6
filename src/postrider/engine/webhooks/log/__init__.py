"""What was posted and what came of it, over all of an organization's endpoints."""

from postrider.engine.webhooks.log.store import forget_bodies

__all__ = ["forget_bodies"]
