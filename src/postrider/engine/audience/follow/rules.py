"""The score of a contact: how much it cares for the mail it gets. Pure; docs/guide/audience.md tells more."""

from math import sqrt

from postrider.kit import clock

SCORE_MAX = 100
HALVED_AFTER_MS = 60 * clock.DAY
FOR_BEING_THERE = 0.3  # of the whole, whoever opened or clicked at all
FOR_OPENS = 0.6  # of what the rates make; clicks, which are rarer, the rest
ONE_MORE = 1  # mail that is taken for unread: one of one says less than ten of ten


def score(*, sent: int, opened: int, clicked: int, last_activity_at: int | None, now: int) -> int:
    """0 to SCORE_MAX, from how many messages were sent, opened and clicked and when the last one was (ms).

    0 without an opening or click by a human, so also where nothing was sent. Mail that was sent before the
    contact was made may be opened now: then what was opened counts as sent.
    """
    if last_activity_at is None or opened + clicked == 0:
        return 0
    mails = max(sent, opened, clicked) + ONE_MORE
    rate = FOR_OPENS * opened / mails + (1 - FOR_OPENS) * sqrt(clicked / mails)
    freshness: float = 0.5 ** (max(0, now - last_activity_at) / HALVED_AFTER_MS)
    return round(SCORE_MAX * freshness * (FOR_BEING_THERE + (1 - FOR_BEING_THERE) * rate))
