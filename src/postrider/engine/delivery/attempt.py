"""One attempt: checks, compose, sign, deliver. No store in reach, never raises, ends before its deadline."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from postrider.engine.content.model import Mail, Personal
from postrider.engine.delivery import classify, dkim
from postrider.engine.delivery.classify import Category, Classified
from postrider.engine.delivery.couriers import Courier
from postrider.engine.delivery.model import Elsewhere, Job, Moved, Outcome, Result, Verdict, Via
from postrider.engine.delivery.signing import Signers
from postrider.engine.errors import EngineError
from postrider.kit import clock
from postrider.kit.seal import Sealer

DEADLINE_S = 300  # whole attempt; the worker's heartbeat renews its lease meanwhile
LATE = Classified(classify.Verdict.DEFERRED, None, "deadline", Category.CONNECTION)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every attempt of a process uses."""

    sealer: Sealer
    signers: Signers
    tracking_url: str
    hostname: str


Check = Callable[[Job, int], Outcome | None]


async def attempt(job: Job, courier: Courier, workshop: Workshop) -> Result | Moved:
    """Try once to hand the job's mail over; the outcome says what came of it, or where it belongs instead."""
    started_at, started = clock.now_ms(), time.monotonic()
    outcome = await _attempt(job, courier, workshop, started_at)
    if isinstance(outcome, Elsewhere):
        return Moved(job, outcome.site)
    return Result(job, outcome, started_at, int((time.monotonic() - started) * 1000))


async def _attempt(job: Job, courier: Courier, workshop: Workshop, now: int) -> Outcome | Elsewhere:
    for check in CHECKS:
        if (outcome := check(job, now)) is not None:
            return replace(outcome, via=courier.via)
    try:
        async with asyncio.timeout(DEADLINE_S):
            if (unready := await courier.ready(job)) is not None:
                return unready
            assert job.prepared is not None  # has_body
            token = token_of(job, workshop.sealer)
            mail = courier.adapt(job.prepared.compose(_personal(job, token, workshop, now)))
            if isinstance(mail, Outcome):
                return mail
            data = await sign(mail, job.keys, workshop, now)
            return_path = f"b+{token}@{job.return_path or workshop.hostname}"
            return await courier.deliver(job, return_path, mail, data)
    except EngineError as fault:  # a template that fails on this recipient's variables
        return Outcome(Verdict.FAILED, courier.via, reply=fault.sentence)
    except TimeoutError:
        courier.abort()
        return Outcome(Verdict.DEFERRED, courier.via, reply="the attempt took too long", classified=LATE)


def is_active(job: Job, now: int) -> Outcome | None:
    if job.is_active:
        return None
    return Outcome(Verdict.FAILED, Via.DIRECT, reply="the organization is not active")


def is_free(job: Job, now: int) -> Outcome | None:
    if job.suppressed is None:
        return None
    return Outcome(Verdict.SUPPRESSED, Via.DIRECT, reply=job.suppressed)


def has_body(job: Job, now: int) -> Outcome | None:
    if job.prepared is not None:
        return None
    return Outcome(Verdict.FAILED, Via.DIRECT, reply="the body has expired")


def has_domain(job: Job, now: int) -> Outcome | None:
    """A sending domain that was removed has no key any more: its mail would go out unsigned."""
    if job.keys or job.claimed.domain_id is None:
        return None
    return Outcome(Verdict.FAILED, Via.DIRECT, reply="the sending domain was removed")


CHECKS: tuple[Check, ...] = (is_active, is_free, has_body, has_domain)


def token_of(job: Job, sealer: Sealer) -> str:
    """The message's one seal: organization and message id."""
    return sealer.message_token(job.claimed.organization_id, job.claimed.id)


async def sign(mail: Mail, keys: tuple[dkim.Key, ...], workshop: Workshop, now: int) -> list[bytes]:
    """The mail's bytes with a signature for each key before them; the raw signatures are made in threads."""
    parts: list[bytes] = []
    if keys:
        for unsigned in dkim.prepare(mail, keys, now_s=now // 1000):
            parts += [unsigned.complete(await workshop.signers.sign(unsigned)), b"\r\n"]
    parts.append(mail.as_bytes())
    return parts


def _personal(job: Job, token: str, workshop: Workshop, now: int) -> Personal:
    claimed = job.claimed
    campaign = claimed.campaign_id.hex()[-12:] if claimed.campaign_id else "single"
    return Personal(
        message_id=claimed.id,
        group_id=claimed.group_id,
        recipient=claimed.recipient,
        role=claimed.role,
        vars=claimed.vars,
        token=token,
        tracking_url=workshop.tracking_url,
        unsubscribe_mailto=f"unsubscribe+{token}@{workshop.hostname}",
        domain=job.domain,
        feedback_id=f"{campaign}:{claimed.stream.name.lower()}:{claimed.organization_id}:postrider",
        date_ms=claimed.created_at,
    )
