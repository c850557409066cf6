"""The documented retry schedule, step by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.engine.delivery.classify import BounceClass, Category, Classified, Verdict, classify
from postrider.engine.delivery.policy import SCHEDULE, Done, NextHost, Retry, next_step
from postrider.engine.delivery.replies import Stage
from postrider.engine.messages.model import Status
from postrider.kit.clock import HOUR, MINUTE

TEMPORARY = classify(451, "4.3.0", "try again", Stage.END)
SOFT = classify(452, "4.2.2", "mailbox full", Stage.RCPT)
SOFT_FOR_GOOD = classify(552, "5.2.2", "mailbox full", Stage.RCPT)


def _delays(classified: Classified) -> tuple[list[int], Status]:
    """Play attempt after attempt on a site of one host: the waits, and how it ends."""
    now, delays = 1_000, []
    for attempts in range(1, 20):
        match next_step(classified, attempts=attempts, first_attempt_at=1_000, now=now):
            case Retry(at):
                delays.append(at - now)
                now = at
            case Done(status):
                return delays, status
            case NextHost():
                raise AssertionError("there is no other host")
    raise AssertionError("it never ends")


def test_a_temporary_failure_is_retried_five_times_and_then_failed() -> None:
    waits = [15 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 24 * HOUR]
    assert _delays(TEMPORARY) == (waits, Status.FAILED)


@pytest.mark.parametrize("soft", [SOFT, SOFT_FOR_GOOD])
def test_a_soft_bounce_is_retried_three_times_and_then_bounced(soft: Classified) -> None:
    assert _delays(soft) == ([15 * MINUTE, 15 * MINUTE, HOUR], Status.BOUNCED)


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "status"),
    [
        (250, "2.0.0", "ok", Status.DELIVERED),
        (550, "5.1.1", "user unknown", Status.BOUNCED),
        (554, "5.7.1", "refused", Status.BOUNCED),
        (503, "5.5.1", "bad sequence", Status.FAILED),
    ],
)
def test_what_is_final_is_not_retried(code: int, enhanced: str, text: str, status: Status) -> None:
    found = classify(code, enhanced, text, Stage.END)
    assert next_step(found, attempts=1, first_attempt_at=0, now=0, hosts_left=3) == Done(status)


def test_the_first_retry_goes_to_another_host_at_once() -> None:
    assert next_step(TEMPORARY, attempts=1, first_attempt_at=0, now=5, hosts_left=1) == NextHost()
    second = next_step(TEMPORARY, attempts=2, first_attempt_at=0, now=5, hosts_left=1)
    assert second == Retry(5 + 15 * MINUTE)


def test_a_site_that_wants_rest_is_not_asked_at_its_next_host() -> None:
    busy = classify(421, "4.7.28", "unusual rate of unsolicited mail", Stage.END)
    assert next_step(busy, attempts=1, first_attempt_at=0, now=0, hosts_left=3) == Retry(HOUR)


def test_no_retry_begins_after_the_window() -> None:
    late = 47 * HOUR
    assert next_step(TEMPORARY, attempts=3, first_attempt_at=0, now=late) == Retry(late + HOUR)
    assert next_step(TEMPORARY, attempts=4, first_attempt_at=0, now=late) == Done(Status.FAILED)
    assert next_step(SOFT, attempts=1, first_attempt_at=0, now=24 * HOUR) == Done(Status.BOUNCED)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 5))
def test_jitter_never_shortens_a_wait_and_adds_a_tenth_at_most(message_id: bytes, attempts: int) -> None:
    step = next_step(TEMPORARY, attempts=attempts, first_attempt_at=0, now=0, message_id=message_id)
    again = next_step(TEMPORARY, attempts=attempts, first_attempt_at=0, now=0, message_id=message_id)
    wait = SCHEDULE.delays[attempts - 1] or 15 * MINUTE
    assert isinstance(step, Retry)
    assert wait <= step.at <= wait * 1.1
    assert step == again


def test_a_block_that_is_temporary_ends_as_failed() -> None:
    blocked = Classified(Verdict.DEFERRED, BounceClass.BLOCK, "r", Category.POLICY)
    assert _delays(blocked)[1] is Status.FAILED
