"""Which mail program a User-Agent is of: those that statistics tell, nothing more."""

from collections.abc import Mapping
from typing import Any

from postrider.engine.engagement.agents import agent_of
from postrider.engine.insight.model import Measure

USER_AGENT_MAX_CHARS = 500
_CLIENTS = {
    "Gmail": Measure.OPENED_IN_GMAIL,
    "Yahoo Mail": Measure.OPENED_IN_YAHOO,
    "Outlook": Measure.OPENED_IN_OUTLOOK,
    "Thunderbird": Measure.OPENED_IN_THUNDERBIRD,
    "Apple Mail": Measure.OPENED_IN_APPLE_MAIL,
}


def platform_of(data: Mapping[str, Any]) -> Measure:
    """The measure of an opening by its data; a browser, and what nobody knows, is elsewhere."""
    device = data.get("device")
    if device is None and "scanner" not in data:  # recorded before devices were looked at
        told = data.get("user_agent")
        device = agent_of(told[:USER_AGENT_MAX_CHARS]).device if isinstance(told, str) else None
    return _CLIENTS.get((device or {}).get("client") or "", Measure.OPENED_ELSEWHERE)
