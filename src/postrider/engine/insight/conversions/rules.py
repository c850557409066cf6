"""To whom a conversion is credited, and which round sums were reached. Pure."""

from postrider.engine.accounts import Settings
from postrider.engine.insight.conversions.model import Attribution
from postrider.kit import clock
from postrider.kit.ids import RowId
from postrider.kit.money import MILS
from postrider.kit.record import record

FIRST_MILESTONE_MILS = 100 * MILS


@record
class Touch:
    """A click or opening by a human, in the mail of a campaign."""

    at: int
    campaign_id: RowId


@record
class Windows:
    """For how long (ms) after a click, and after an opening, a conversion is its campaign's."""

    click_ms: int
    open_ms: int

    @classmethod
    def of(cls, settings: Settings) -> "Windows":
        days = settings.attribution_click_days, settings.attribution_open_days
        return cls(*(each * clock.DAY for each in days))

    @property
    def longest_ms(self) -> int:
        return max(self.click_ms, self.open_ms)


def credit(
    clicked: Touch | None, opened: Touch | None, *, at: int, windows: Windows
) -> tuple[RowId | None, Attribution]:
    """The campaign of the last click within its window before `at`, else of the last opening within its own.

    A window's end belongs to it: exactly 7 days after the click the campaign still has the credit.
    """
    if clicked is not None and 0 <= at - clicked.at <= windows.click_ms:
        return clicked.campaign_id, Attribution.LAST_CLICK
    if opened is not None and 0 <= at - opened.at <= windows.open_ms:
        return opened.campaign_id, Attribution.LAST_OPEN
    return None, Attribution.NONE


def milestone(before_mils: int, after_mils: int) -> int | None:
    """The largest of 100, 500, 1000, 5000, 10000, … units that a sum passed on its way; None: none."""
    passed, step = None, FIRST_MILESTONE_MILS
    factor = 5
    while step <= after_mils:
        if before_mils < step:
            passed = step
        step, factor = step * factor, 7 - factor
    return passed
