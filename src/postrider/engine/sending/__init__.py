"""Whatever becomes queued mail: single sends, bulk, (later) campaigns go through here, whatever the door."""

from postrider.engine.sending.bulk import BulkCommand, BulkReceipt, submit_bulk
from postrider.engine.sending.model import Accepted, Receipt, Recipient, Refused, SendCommand, Submission
from postrider.engine.sending.prepare import prepare, prepare_raw
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.sender import Sender
from postrider.engine.sending.store import PURGE_AT_ONCE, purge_keys
from postrider.engine.sending.submit import submit

__all__ = [
    "PURGE_AT_ONCE",
    "Accepted",
    "BulkCommand",
    "BulkReceipt",
    "Receipt",
    "Recipient",
    "Refused",
    "Routes",
    "SendCommand",
    "Sender",
    "Submission",
    "prepare",
    "prepare_raw",
    "purge_keys",
    "submit",
    "submit_bulk",
]
