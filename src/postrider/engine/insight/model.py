"""What is counted, in words that are stored: never rename one, only add."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Measure(StrEnum):
    """Of events, one each time. `unique` is the first of its kind for a message, counted where it happened.

    An opening or click is human, suspicious or a scanner's where its event, or what corrects it, says so; one
    of which nothing is known is none of them. Firsts are kept of all and of human ones; of scanners' only for
    campaigns, whose rollups also tell devices.
    """

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED_HARD = "bounced_hard"
    BOUNCED_SOFT = "bounced_soft"
    BOUNCED_BLOCK = "bounced_block"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    OPENED = "opened"
    OPENED_UNIQUE = "opened_unique"
    OPENED_HUMAN = "opened_human"
    OPENED_HUMAN_UNIQUE = "opened_human_unique"
    OPENED_SCANNER = "opened_scanner"
    OPENED_SCANNER_UNIQUE = "opened_scanner_unique"
    OPENED_SUSPICIOUS = "opened_suspicious"
    CLICKED = "clicked"
    CLICKED_UNIQUE = "clicked_unique"
    CLICKED_HUMAN = "clicked_human"
    CLICKED_HUMAN_UNIQUE = "clicked_human_unique"
    CLICKED_SCANNER = "clicked_scanner"
    CLICKED_SCANNER_UNIQUE = "clicked_scanner_unique"
    CLICKED_SUSPICIOUS = "clicked_suspicious"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENED_IN_GMAIL = "opened_in_gmail"
    OPENED_IN_APPLE_MAIL = "opened_in_apple_mail"
    OPENED_IN_OUTLOOK = "opened_in_outlook"
    OPENED_IN_YAHOO = "opened_in_yahoo"
    OPENED_IN_THUNDERBIRD = "opened_in_thunderbird"
    OPENED_ELSEWHERE = "opened_elsewhere"
    OPENED_ON_DESKTOP = "opened_on_desktop"
    OPENED_ON_MOBILE = "opened_on_mobile"
    OPENED_ON_TABLET = "opened_on_tablet"
    OPENED_ON_UNKNOWN = "opened_on_unknown"


PLATFORMS = tuple(
    measure for measure in Measure if measure.startswith("opened_in_") or measure is Measure.OPENED_ELSEWHERE
)


class Who(Enum):
    """Whose openings and clicks a report is about."""

    ALL = auto()
    HUMAN = auto()
    SCANNER = auto()


class Step(Enum):
    """How a report's time is divided."""

    WHOLE = auto()
    DAY = auto()  # of the zone that is asked for
    HOUR = auto()


@dataclass(frozen=True, slots=True)
class Counts:
    """Events by measure; openings and clicks are those of `who`."""

    by_measure: Mapping[Measure, int]
    who: Who = Who.ALL

    def __getitem__(self, measure: Measure) -> int:
        return self.by_measure.get(measure, 0)

    @property
    def bounced(self) -> int:
        return self[Measure.BOUNCED_HARD] + self[Measure.BOUNCED_SOFT] + self[Measure.BOUNCED_BLOCK]

    @property
    def opens(self) -> int:
        return self[_OPENS[self.who][0]]

    @property
    def unique_opens(self) -> int | None:
        """Messages opened for the first time; None for scanners' where their firsts are not kept."""
        return self._unique(_OPENS)

    @property
    def clicks(self) -> int:
        return self[_CLICKS[self.who][0]]

    @property
    def unique_clicks(self) -> int | None:
        """As unique_opens."""
        return self._unique(_CLICKS)

    def _unique(self, measures: "Mapping[Who, tuple[Measure, Measure]]") -> int | None:
        unique = measures[self.who][1]
        return self.by_measure.get(unique) if self.who is Who.SCANNER else self[unique]


_OPENS: dict[Who, tuple[Measure, Measure]] = {
    Who.ALL: (Measure.OPENED, Measure.OPENED_UNIQUE),
    Who.HUMAN: (Measure.OPENED_HUMAN, Measure.OPENED_HUMAN_UNIQUE),
    Who.SCANNER: (Measure.OPENED_SCANNER, Measure.OPENED_SCANNER_UNIQUE),
}
_CLICKS: dict[Who, tuple[Measure, Measure]] = {
    Who.ALL: (Measure.CLICKED, Measure.CLICKED_UNIQUE),
    Who.HUMAN: (Measure.CLICKED_HUMAN, Measure.CLICKED_HUMAN_UNIQUE),
    Who.SCANNER: (Measure.CLICKED_SCANNER, Measure.CLICKED_SCANNER_UNIQUE),
}


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a report's time, its end not included."""

    start: int
    end: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Report:
    """Spans without gaps, empty ones too, and their sum."""

    spans: list[Span]
    total: Counts
