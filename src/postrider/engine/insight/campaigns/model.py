"""What is kept of a campaign's messages, and what reports answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import NamedTuple

from postrider.engine.audience.model import Contact
from postrider.engine.insight.model import Counts, Measure, Who
from postrider.engine.insight.tally import BUCKET_MS
from postrider.engine.journal import EventKind
from postrider.engine.messages.reports import Recipient as Mail
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.kit.record import record

CAMPAIGN = 0  # stands for a link's number where the whole campaign is meant


class HitKind(IntEnum):
    """What may happen to a message more than once; stored: never renumber one, only add."""

    OPENED = 1
    CLICKED = 2  # whatever the link
    FOLLOWED = 3  # one link
    BOUNCED = 4
    COMPLAINED = 5
    UNSUBSCRIBED = 6


HITS: dict[EventKind, int] = {
    EventKind.OPENED: int(HitKind.OPENED),
    EventKind.CLICKED: int(HitKind.CLICKED),
    EventKind.BOUNCED: int(HitKind.BOUNCED),
    EventKind.COMPLAINED: int(HitKind.COMPLAINED),
    EventKind.UNSUBSCRIBED: int(HitKind.UNSUBSCRIBED),
}
# What the first hit of a message counts as, by whom it is the first.
UNIQUE = {
    (HitKind.OPENED, Who.ALL): Measure.OPENED_UNIQUE,
    (HitKind.OPENED, Who.HUMAN): Measure.OPENED_HUMAN_UNIQUE,
    (HitKind.OPENED, Who.SCANNER): Measure.OPENED_SCANNER_UNIQUE,
    (HitKind.CLICKED, Who.ALL): Measure.CLICKED_UNIQUE,
    (HitKind.CLICKED, Who.HUMAN): Measure.CLICKED_HUMAN_UNIQUE,
    (HitKind.CLICKED, Who.SCANNER): Measure.CLICKED_SCANNER_UNIQUE,
}
FIRSTS = frozenset(UNIQUE.values())
CLICKS = {Who.ALL: Measure.CLICKED, Who.HUMAN: Measure.CLICKED_HUMAN, Who.SCANNER: Measure.CLICKED_SCANNER}
DEVICES = {
    "desktop": Measure.OPENED_ON_DESKTOP,
    "mobile": Measure.OPENED_ON_MOBILE,
    "tablet": Measure.OPENED_ON_TABLET,
}
SENT = (Measure.SENT, Measure.BOUNCED_HARD, Measure.BOUNCED_SOFT, Measure.BOUNCED_BLOCK)
TIMED = frozenset((*SENT, Measure.CLICKED))  # whose first and last time is kept: none is ever taken back


_MONDAY = 4 * clock.DAY  # the first one after 1970 began


class Grain(IntEnum):
    """How the time of a campaign is divided (UTC); weeks begin on Mondays. The value: its length at least."""

    QUARTER = BUCKET_MS
    HOUR = clock.HOUR
    DAY = clock.DAY
    WEEK = 7 * clock.DAY
    MONTH = 28 * clock.DAY

    def begin(self, at: int) -> int:
        """The beginning of the part in which a time (ms) lies."""
        match self:
            case Grain.WEEK:
                return at - (at - _MONDAY) % self
            case Grain.MONTH:
                day = datetime.fromtimestamp(at / 1000, UTC)
                return at - at % clock.DAY - (day.day - 1) * clock.DAY
            case _:
                return at - at % self

    def end(self, begin: int) -> int:
        return begin + self if self is not Grain.MONTH else self.begin(begin + 31 * clock.DAY)


class Key(NamedTuple):
    """A row of campaign_hits; its kind as a number, for enums are slow keys."""

    organization_id: int
    campaign_id: RowId
    kind: int  # HitKind
    link: int
    message_id: RowId


class Place(NamedTuple):
    """A count of a quarter of an hour."""

    organization_id: int
    campaign_id: RowId
    measure: Measure
    bucket: int
    variant: int


class Sum(NamedTuple):
    """A count of a whole campaign (link CAMPAIGN), or of one of its links."""

    organization_id: int
    campaign_id: RowId
    link: int
    variant: int
    measure: Measure


@dataclass(slots=True)
class Seen:
    """How often, and when for the first and last time (ms); both None where never."""

    times: int = 0
    first_at: int | None = None
    last_at: int | None = None

    def add(self, at: int, times: int = 1) -> None:
        self.times += times
        self.first_at = at if self.first_at is None else min(self.first_at, at)
        self.last_at = at if self.last_at is None else max(self.last_at, at)


def sent_of(counts: Counts) -> int:
    """What was accepted and not called back; a time in which more was called back has none."""
    return max(0, counts[Measure.ACCEPTED] - counts[Measure.CANCELLED])


@record
class CampaignReport:
    """A campaign's counts; openings and clicks are those of `counts.who`.

    `first_sent_at` and `last_sent_at`: when mail of it left, or was refused by the far end, None: none yet.
    """

    campaign_id: RowId
    kind: str  # campaign, bulk, segment, session, step
    name: str
    status: str
    total: int  # recipients, also those not mailed yet
    counts: Counts
    first_sent_at: int | None
    last_sent_at: int | None

    @property
    def sent(self) -> int:
        """Messages that were accepted for sending and not called back."""
        return sent_of(self.counts)


@record
class MeanRates:
    """Of the campaigns that were sent to anybody: how many they are, the means of their rates (0 to 1).

    Opened and clicked, by anybody, of what was delivered; messages count once.
    """

    campaigns: int
    open_rate: float
    click_rate: float


@record
class LinkReport:
    """A link that was followed, as it stands in the mail: by whom the report is about; when, by whomever."""

    url: str
    clicks: int
    unique_clicks: int
    first_clicked_at: int | None
    last_clicked_at: int | None


class Standing(Enum):
    """What a list of recipients may be narrowed to."""

    QUEUED = "queued"
    SENT = "sent"  # it left, whatever the far end made of it
    DELIVERED = "delivered"
    BOUNCED = "bounced"  # also after it was delivered
    FAILED = "failed"  # tried in vain for too long
    NOT_SENT = "not_sent"  # failed, suppressed or called back
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


@record
class End:
    """Why a message did not arrive, in the words of the far end, and when that was said (ms)."""

    at: int | None
    bounce_class: str | None  # hard, soft, block
    reason: str | None
    code: str | None  # 550 5.1.1


@record
class Recipient:
    """One message of a campaign, with what is known of its reader; hits are those of whom was asked for."""

    message: Mail
    contact: Contact | None
    opened: Seen
    clicked: Seen
    end: End | None


@record
class Listed:
    """A page of recipients and how many there are: exact to 100,000, beyond that by what was counted."""

    rows: list[Recipient]
    total: int
