"""What the operator must know: raised once when it begins, cleared once when it ends."""

from postrider.engine.notices.alerts.model import Alert, AlertKind, Look, Sight
from postrider.engine.notices.alerts.store import PAGE_MAX, drop_old, open_by_kind
from postrider.engine.notices.alerts.tell import browse, settle

__all__ = [
    "PAGE_MAX",
    "Alert",
    "AlertKind",
    "Look",
    "Sight",
    "browse",
    "drop_old",
    "open_by_kind",
    "settle",
]
