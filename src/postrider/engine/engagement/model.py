"""Hits: what strangers fetched, as it came in."""

from dataclasses import field
from enum import IntEnum

from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.kit.record import record


class HitKind(IntEnum):
    OPEN = 1
    CLICK = 2
    HIDDEN = 3  # the link that no reader sees: evidence of others, no click


@record
class Hit:
    organization_id: int
    message_id: RowId
    kind: HitKind
    link: int | None
    ip: str
    user_agent: str
    method: str
    at: int = field(default_factory=clock.now_ms)
    id: RowId = field(default_factory=new_id)
