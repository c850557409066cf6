"""Which mail program a User-Agent is of: a table of what such programs are known to send, nothing more."""

import re

from postrider.engine.insight.model import Measure

USER_AGENT_MAX_CHARS = 500
# The first that matches holds. Image proxies name themselves; Apple Mail is WebKit that no browser signs.
_SIGNS = (
    (re.compile(r"GoogleImageProxy|ggpht\.com", re.IGNORECASE), Measure.OPENED_IN_GMAIL),
    (re.compile(r"YahooMailProxy", re.IGNORECASE), Measure.OPENED_IN_YAHOO),
    (re.compile(r"Outlook|Microsoft Office|MSOffice|ms-office", re.IGNORECASE), Measure.OPENED_IN_OUTLOOK),
    (re.compile(r"Thunderbird", re.IGNORECASE), Measure.OPENED_IN_THUNDERBIRD),
    (
        re.compile(r"\((?:Macintosh|iPhone|iPad)(?!.*(?:Chrome|Safari|Firefox|Edg)/).*AppleWebKit/"),
        Measure.OPENED_IN_APPLE_MAIL,
    ),
)


def platform_of(user_agent: object) -> Measure:
    """The measure of an opening by this User-Agent; a browser, and what nobody knows, is elsewhere."""
    text = user_agent[:USER_AGENT_MAX_CHARS] if isinstance(user_agent, str) else ""
    return next((measure for sign, measure in _SIGNS if sign.search(text)), Measure.OPENED_ELSEWHERE)
