"""How likely a hit is a scanner's: 0 to 100 from named reasons, nothing else. Pure.

Reasons add up to 100 at most. None of the weak ones makes a scanner alone; what names itself, what walks into
the hidden link and what follows every link at once does.
"""

from enum import IntEnum, StrEnum

from postrider.engine.engagement.agents import AgentKind
from postrider.kit import clock
from postrider.kit.record import record

SUSPICIOUS, SCANNER = 50, 80  # where the bands begin
SCORE_MAX = 100
SOON_MS, VERY_SOON_MS = 10 * clock.SECOND, 2 * clock.SECOND
FEW_LINKS = 2  # both of them may be a reader with two fingers
MANY_LINKS = 5


class Band(IntEnum):
    """In order: evidence that comes later moves a hit up, never down."""

    HUMAN = 0
    SUSPICIOUS = 1
    SCANNER = 2


class Reason(StrEnum):
    """Told in data.scanner.reasons: never rename one, only add."""

    KNOWN_SCANNER = "known-scanner"
    AUTOMATED_TOOL = "automated-tool"
    SCANNER_RANGE = "scanner-range"
    HIDDEN_LINK = "hidden-link"
    ALL_LINKS_AT_ONCE = "all-links-at-once"
    BOTH_LINKS_AT_ONCE = "both-links-at-once"
    MANY_LINKS_AT_ONCE = "many-links-at-once"
    BEFORE_DELIVERY = "before-delivery"
    VERY_SOON_AFTER_DELIVERY = "very-soon-after-delivery"
    SOON_AFTER_DELIVERY = "soon-after-delivery"
    HEAD_REQUEST = "head-request"
    NO_AGENT = "no-agent"
    UNKNOWN_AGENT = "unknown-agent"
    PRIVACY_PROXY = "privacy-proxy"


POINTS = {
    Reason.KNOWN_SCANNER: 90,
    Reason.AUTOMATED_TOOL: 85,
    Reason.SCANNER_RANGE: 85,
    Reason.HIDDEN_LINK: 90,
    Reason.ALL_LINKS_AT_ONCE: 85,
    Reason.BOTH_LINKS_AT_ONCE: 55,
    Reason.MANY_LINKS_AT_ONCE: 65,
    Reason.BEFORE_DELIVERY: 60,
    Reason.VERY_SOON_AFTER_DELIVERY: 40,
    Reason.SOON_AFTER_DELIVERY: 20,
    Reason.HEAD_REQUEST: 55,
    Reason.NO_AGENT: 55,
    Reason.UNKNOWN_AGENT: 25,
    Reason.PRIVACY_PROXY: 50,
}
_OF_AGENTS = {
    AgentKind.SCANNER: Reason.KNOWN_SCANNER,
    AgentKind.TOOL: Reason.AUTOMATED_TOOL,
    AgentKind.PROXY: Reason.PRIVACY_PROXY,
    AgentKind.STRANGER: Reason.UNKNOWN_AGENT,
    AgentKind.NOBODY: Reason.NO_AGENT,
}


@record
class Evidence:
    """What is known of a hit.

    `after_ms` is the time since the message was delivered, None where it was not (yet, that we know of);
    `at_once` how many different links its source followed around it within the window, of `links`.
    """

    agent: AgentKind
    after_ms: int | None = None
    links: int = 0
    at_once: int = 0
    is_head: bool = False
    in_range: bool = False
    near_hidden: bool = False


@record
class Score:
    points: int
    reasons: tuple[Reason, ...]

    @property
    def band(self) -> Band:
        return band_of(self.points)


def score(evidence: Evidence) -> Score:
    reasons = tuple(_reasons(evidence))
    return Score(min(sum(POINTS[reason] for reason in reasons), SCORE_MAX), reasons)


def band_of(points: int) -> Band:
    if points >= SCANNER:
        return Band.SCANNER
    return Band.SUSPICIOUS if points >= SUSPICIOUS else Band.HUMAN


def _reasons(evidence: Evidence) -> list[Reason]:
    found = [_OF_AGENTS[evidence.agent]] if evidence.agent in _OF_AGENTS else []
    if evidence.in_range:
        found.append(Reason.SCANNER_RANGE)
    if evidence.near_hidden:
        found.append(Reason.HIDDEN_LINK)
    found += _of_links(evidence)
    if evidence.agent is not AgentKind.PROXY:  # proxies fetch when they please
        found += _of_time(evidence.after_ms)
    if evidence.is_head:
        found.append(Reason.HEAD_REQUEST)
    return found


def _of_links(evidence: Evidence) -> list[Reason]:
    if evidence.links >= FEW_LINKS and evidence.at_once >= evidence.links:
        few = evidence.links == FEW_LINKS
        return [Reason.BOTH_LINKS_AT_ONCE if few else Reason.ALL_LINKS_AT_ONCE]
    return [Reason.MANY_LINKS_AT_ONCE] if evidence.at_once >= MANY_LINKS else []


def _of_time(after_ms: int | None) -> list[Reason]:
    if after_ms is None or after_ms >= SOON_MS:
        return []
    if after_ms < 0:
        return [Reason.BEFORE_DELIVERY]
    return [Reason.VERY_SOON_AFTER_DELIVERY if after_ms < VERY_SOON_MS else Reason.SOON_AFTER_DELIVERY]
