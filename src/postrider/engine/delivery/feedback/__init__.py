"""Mail that comes back, read as values: bounces, complaints, auto-replies, opt-outs. No store, no network."""

from postrider.engine.delivery.feedback.model import (
    Action,
    AutoReply,
    AutoReplyKind,
    Bounce,
    Complaint,
    Delayed,
    Delivered,
    FeedbackType,
    Reason,
    Report,
    Unknown,
    Unsubscribe,
)
from postrider.engine.delivery.feedback.report import read

__all__ = [
    "Action",
    "AutoReply",
    "AutoReplyKind",
    "Bounce",
    "Complaint",
    "Delayed",
    "Delivered",
    "FeedbackType",
    "Reason",
    "Report",
    "Unknown",
    "Unsubscribe",
    "read",
]
