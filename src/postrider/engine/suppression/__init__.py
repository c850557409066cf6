"""Who must not be mailed, and why: one table, one pure matrix that decides."""

from postrider.engine.suppression.find import browse, browse_addresses, count, count_addresses, get
from postrider.engine.suppression.model import (
    Class,
    Entry,
    Filter,
    Kept,
    OperatorEntry,
    Reason,
    Scope,
    Source,
    Verdict,
)
from postrider.engine.suppression.operator import browse_operator, put_operator, take_back_operator
from postrider.engine.suppression.put import New, import_many, key_of, put, take_back, take_back_address
from postrider.engine.suppression.rules import decide
from postrider.engine.suppression.store import (
    EXPIRED_AT_ONCE,
    add,
    changes,
    check,
    drop_expired,
    forget_changes,
    remove,
)

__all__ = [
    "EXPIRED_AT_ONCE",
    "Class",
    "Entry",
    "Filter",
    "Kept",
    "New",
    "OperatorEntry",
    "Reason",
    "Scope",
    "Source",
    "Verdict",
    "add",
    "browse",
    "browse_addresses",
    "browse_operator",
    "changes",
    "check",
    "count",
    "count_addresses",
    "decide",
    "drop_expired",
    "forget_changes",
    "get",
    "import_many",
    "key_of",
    "put",
    "put_operator",
    "remove",
    "take_back",
    "take_back_address",
    "take_back_operator",
]
