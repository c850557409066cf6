"""The records of an account as a whole."""

from collections.abc import Mapping, Sequence
from enum import IntEnum

from postrider.engine.audience.model import Status
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
class Mail:
    """What happened to an account's mail in a time; `read`: of what was delivered then, opened since."""

    sent: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    read: int = 0


@record
class MailSpan:
    """A part of a report's time, its end not included."""

    start: int
    end: int
    mail: Mail


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

    days: Sequence[MailSpan]
    total: Mail
    by_weekday: Mapping[int, Mail]
    by_hour: Mapping[int, Mail]
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
