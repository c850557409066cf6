"""The far end of a test: a mail server that counts what reaches it, and a DNS server that leads there."""

from .client import Received, Sink

__all__ = ["Received", "Sink"]
