"""Judges streams that recipients complain about: what is too much is told, then paused.

Whom to judge is marked by the guards' follower, so that a round without complaints is one indexed read.
"""

import structlog

from postrider.db.database import Database, Tx
from postrider.engine import insight, notices
from postrider.engine.insight import Measure
from postrider.engine.notices import Kind, Letterhead, Notice
from postrider.engine.sending import guards
from postrider.engine.sending.guards import Judged, Tally, Verdict, Watched
from postrider.kit import clock
from postrider.workers.loop import Loop

IDLE_S = 2.0
_log = structlog.get_logger("guards")


class Guards:
    """The guards worker of one process."""

    def __init__(self, db: Database, letterhead: Letterhead) -> None:
        self._db = db
        self._letterhead = letterhead
        self.loop = Loop("guards", self.once, idle_s=IDLE_S)

    async def once(self) -> bool:
        """Judge what is due; answers whether there may be more."""
        due = await self._db.read(guards.due)
        if not due:
            return False
        tallies = await self._db.read(_tallies, due)
        for watched in due:
            judged = guards.judge(watched.stream, tallies[watched])
            verdict = await self._db.write(self._settle, watched, judged)
            if verdict is not Verdict.FINE:
                _log.warning(
                    "complaints",
                    organization=watched.organization_id,
                    stream=watched.stream.name.lower(),
                    rate=round(judged.rate, 5),
                    verdict=verdict.name.lower(),
                )
        return True

    def _settle(self, tx: Tx, watched: Watched, judged: Judged) -> Verdict:
        verdict = guards.settle(tx, watched, judged)
        if verdict is not Verdict.FINE:
            notices.send(tx, self._letterhead, _notice(watched, judged, verdict))
        return verdict


def _tallies(tx: Tx, due: list[Watched]) -> dict[Watched, list[Tally]]:
    """What happened to each stream in each window, but for what lies before it was resumed."""
    now = clock.now_ms()
    asked = {
        (watched, window_ms): (
            watched.organization_id,
            watched.stream,
            max(now - window_ms, watched.resumed_at or 0),
        )
        for watched in due
        for window_ms in guards.WINDOWS_MS
    }
    found = insight.report_streams(tx, list(asked.values()))
    tallies: dict[Watched, list[Tally]] = {watched: [] for watched in due}
    for (watched, window_ms), key in asked.items():
        counts = found[key]
        tallies[watched].append(Tally(window_ms, counts[Measure.DELIVERED], counts[Measure.COMPLAINED]))
    return tallies


def _notice(watched: Watched, judged: Judged, verdict: Verdict) -> Notice:
    """A warning once a day, a pause each time."""
    assert judged.tally is not None
    now, stream, tally = clock.now_ms(), watched.stream.name.lower(), judged.tally
    is_pause = verdict is Verdict.PAUSE
    days = tally.window_ms // clock.DAY
    return Notice(
        watched.organization_id,
        Kind.STREAM_PAUSED if is_pause else Kind.COMPLAINTS_HIGH,
        f"stream-paused:{stream}:{now}" if is_pause else f"complaints:{stream}:{now // clock.DAY}",
        {
            "stream": stream,
            "complained": tally.complained,
            "delivered": tally.delivered,
            "rate": judged.rate,
            "window": "24 hours" if days == 1 else f"{days} days",
            "warn_at": guards.WARN_AT,
            "pause_at": guards.PAUSE_AT,
            "pauses": watched.stream not in guards.NEVER_PAUSED,
        },
    )
