"""What attempts came to, in one transaction: the attempt, the next try or the end, events, captured mail."""

import re
from collections.abc import Sequence
from typing import Any

from postrider.db.database import Tx
from postrider.engine import journal, messages
from postrider.engine.delivery import policy, store
from postrider.engine.delivery.model import Result, Verdict
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Attempt, Claimed, Content, Status, queue
from postrider.kit import clock, mime
from postrider.kit.ids import RowId
from postrider.kit.record import record

REPLY_MAX_CHARS = 500
TAKEN_MAX_CHARS = 200  # of the words with which a mail was taken: most events are of this kind
_SUBJECT = re.compile(rb"^Subject:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.MULTILINE)


@record
class _Decided:
    """A result and what follows from it: the next try, or the status it ended with."""

    result: Result
    due_at: int | None
    status: Status | None

    @property
    def claimed(self) -> Claimed:
        return self.result.job.claimed


def settle(tx: Tx, results: Sequence[Result], owner: str) -> set[RowId]:
    """Settle attempts of messages that `owner` holds; answers the ids settled.

    What we lost meanwhile (cancelled, or another worker's by now) is left alone, but for one thing: a mail
    the far end took was delivered, whoever holds its row, as long as the row had not ended.
    """
    now = clock.now_ms()
    decided = [_decide(result, now) for result in results]
    kept = queue.settle(
        tx,
        [
            queue.Settled(
                each.claimed.organization_id,
                each.claimed.id,
                each.claimed.lane_id,
                owner,
                each.due_at,
                each.status is Status.DELIVERED,
            )
            for each in decided
        ],
    )
    messages.insert_attempts(tx, [_attempt(each.result) for each in decided])
    settled = [each for each in decided if each.claimed.id in kept]
    journal.record(tx, [event for each in settled for event in _events(each, now)])
    captured = [each.result for each in settled if each.result.outcome.captured is not None]
    if captured:
        store.insert_captured(tx, [_captured(result, now) for result in captured])
    return kept


def _decide(result: Result, now: int) -> _Decided:
    outcome, claimed = result.outcome, result.job.claimed
    if outcome.classified is None:
        return _Decided(result, None, _ENDS[outcome.verdict])
    step = policy.next_step(
        outcome.classified,
        attempts=claimed.attempts + 1,
        first_attempt_at=claimed.created_at,
        now=now,
        hosts_left=outcome.hosts_left,
        message_id=claimed.id,
    )
    match step:
        case policy.Retry(at):
            return _Decided(result, at, None)
        case policy.Done(status):
            return _Decided(result, None, status)
        case policy.NextHost():
            return _Decided(result, now, None)


# Where no reply was classified: nobody was asked, or the mail was taken.
_ENDS = {
    Verdict.DELIVERED: Status.DELIVERED,
    Verdict.FAILED: Status.FAILED,
    Verdict.SUPPRESSED: Status.SUPPRESSED,
}


def _attempt(result: Result) -> Attempt:
    outcome, claimed = result.outcome, result.job.claimed
    return Attempt(
        organization_id=claimed.organization_id,
        message_id=claimed.id,
        number=claimed.attempts + 1,
        started_at=result.started_at,
        duration_ms=result.duration_ms,
        outcome=outcome.verdict.value,
        via=outcome.via.value,
        host=outcome.host,
        ip=outcome.ip,
        tls=outcome.tls,
        code=outcome.code,
        enhanced=outcome.enhanced,
        reply=_short(outcome.reply),
        rule=outcome.rule,
        bounce_class=outcome.bounce_class,
        transcript="\n".join(outcome.transcript) if outcome.transcript else None,
    )


def _events(decided: _Decided, now: int) -> list[Event]:
    outcome = decided.result.outcome
    said: dict[str, Any] = {
        "code": outcome.code,
        "enhanced": outcome.enhanced,
        "reply": _short(outcome.reply),
    }
    match decided.status:
        case Status.DELIVERED:
            via: dict[str, Any] = {
                "via": outcome.via.value,
                "host": outcome.host,
                "code": outcome.code,
                "enhanced": outcome.enhanced,
                "reply": None if outcome.reply is None else outcome.reply[:TAKEN_MAX_CHARS],
            }
            events = [
                _event(decided, EventKind.SENT, now, None),
                _event(decided, EventKind.DELIVERED, now, via),
            ]
            if outcome.aftermath is not None:
                events.append(_event(decided, outcome.aftermath, now, {"source": "simulator"}))
            return events
        case Status.BOUNCED:
            class_ = outcome.bounce_class or "soft"
            return [_event(decided, EventKind.BOUNCED, now, {"class": class_, "rule": outcome.rule, **said})]
        case Status.FAILED:
            return [_event(decided, EventKind.FAILED, now, {"reason": _short(outcome.reply), **said})]
        case Status.SUPPRESSED:
            return [_event(decided, EventKind.SUPPRESSED, now, {"reason": outcome.reply})]
        case _:
            facts: dict[str, Any] = {
                "retry_at": decided.due_at,
                "attempt": decided.claimed.attempts + 1,
                **said,
            }
            return [_event(decided, EventKind.DEFERRED, now, facts)]


def _event(decided: _Decided, kind: EventKind, now: int, data: dict[str, Any] | None) -> Event:
    claimed = decided.claimed
    return Event(
        organization_id=claimed.organization_id,
        kind=kind,
        at=now,
        message_id=claimed.id,
        campaign_id=claimed.campaign_id,
        data=data,
    )


def _captured(result: Result, now: int) -> tuple[store.Captured, bytes]:
    claimed, content = result.job.claimed, result.job.content
    return store.captured_of(
        claimed.organization_id,
        claimed.id,
        claimed.recipient,
        claimed.address_key,
        content.from_header,
        _subject(content, result.outcome.captured or b""),
        result.outcome.captured or b"",
        now,
    )


def _subject(content: Content, mail: bytes) -> str:
    """As the recipient reads it: a merged one differs from mail to mail."""
    if not content.headers.get("merge"):
        return content.subject
    line = _SUBJECT.search(mail)
    return content.subject if line is None else mime.decode_words(mime.unfold(line.group()))


def _short(text: str | None) -> str | None:
    return None if text is None else text[:REPLY_MAX_CHARS]
