"""The records of an account as a whole."""

from collections.abc import Mapping, Sequence
from enum import IntEnum

from postrider.engine.audience.model import Status
from postrider.engine.insight.model import Counts, Span
from postrider.kit.ids import RowId
from postrider.kit.record import record


class Trait(IntEnum):
    """What openings and clicks are told apart by. Stored numbers: never renumber."""

    DEVICE = 1  # desktop, mobile, tablet
    CLIENT = 2  # the mail program, as engagement.agents names it
    COUNTRY = 3  # ISO 3166
    CITY = 4  # its country, a slash, its name


class Change(IntEnum):
    """What happens to an audience. Stored numbers: never renumber."""

    CREATED = 1
    DELETED = 2
    UNSUBSCRIBED = 3  # or complained
    BOUNCED = 4  # for good


@record
class Hits:
    """Openings and clicks, by whomever."""

    opens: int
    clicks: int


@record
class Traits:
    """Hits by a trait's values, the most opened first; what is unknown has the value "".

    `total` is of all values, also of those past the limit of a report.
    """

    total: Hits
    values: Sequence[tuple[str, Hits]]


@record
class Reading:
    """Mails that were delivered, and how many of them were opened since."""

    delivered: int
    opened: int


@record
class CampaignRates:
    """A campaign that began in a report's time, with all that came of it so far; messages counted once."""

    campaign_id: RowId
    name: str
    delivered: int
    opened: int
    clicked: int


@record
class Overview:
    """An account's time: its days, the sum, mails by the weekday (0 is Monday) and hour they came in."""

    days: Sequence[Span]
    total: Counts
    by_weekday: Mapping[int, Reading]
    by_hour: Mapping[int, Reading]
    campaigns: Sequence[CampaignRates]


@record
class Engagement:
    """Contacts by what they did of late: each is in one."""

    highly_engaged: int = 0
    engaged: int = 0
    inactive: int = 0
    never_engaged: int = 0


@record
class Census:
    """All contacts counted at one time (ms)."""

    taken_at: int
    total: int
    statuses: Mapping[Status, int]
    sources: Mapping[str, int]
    engagement: Engagement


@record
class Growth:
    """How many contacts there were at the end of each day, and what changed in all.

    `subscribed_at_start` is reckoned back from today: contacts that were deleted since are not in it.
    """

    at_start: int
    subscribed_at_start: int
    days: Sequence[tuple[int, int]]  # the day's start (ms), contacts at its end
    changes: Mapping[Change, int]
