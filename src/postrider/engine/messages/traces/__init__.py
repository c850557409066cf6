"""What is known of messages by whoever counts for their recipients: read only."""

from postrider.engine.messages.traces.store import Trace, of

__all__ = ["Trace", "of"]
