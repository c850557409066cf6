"""Who must not be mailed, and why: one table, one pure matrix that decides."""

from postrider.engine.suppression.model import Class, Entry, Reason, Scope, Verdict
from postrider.engine.suppression.rules import decide
from postrider.engine.suppression.store import add, check, remove

__all__ = ["Class", "Entry", "Reason", "Scope", "Verdict", "add", "check", "decide", "remove"]
