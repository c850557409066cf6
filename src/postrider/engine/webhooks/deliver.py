"""From the queue to the far end: endpoints are leased, bodies frozen, posts made and settled.

No transaction spans the network. A body is kept before its first post, so a kill at any point repeats a post
with the same bytes, and never makes another.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from postrider.db.database import Database, Tx
from postrider.engine import accounts, messages
from postrider.engine.principal import Principal
from postrider.engine.webhooks import store
from postrider.engine.webhooks.endpoints import WRITE, get_endpoint
from postrider.engine.webhooks.model import (
    Attempt,
    Endpoint,
    EndpointState,
    Format,
    Formats,
    Occasion,
    Rendered,
    Sample,
    Waiting,
)
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id
from postrider.kit.outgoing import Outgoing
from postrider.kit.record import record
from postrider.kit.seal import Sealer

POSTS_AT_ONCE = 32  # to one endpoint; to one whose last post failed a single one, until it takes it
ANSWER_MAX_CHARS = 1_000  # of an answer in the log
LOG_KEPT_MS = 30 * clock.DAY
CONTENT_TYPE = {"Content-Type": "application/json"}


@record
class Leased:
    """An endpoint that is ours until it is settled, and what is due there, with what it is about if kept."""

    endpoint: Endpoint
    sealed: bytes
    due: list[tuple[Waiting, Occasion | None]]


@record
class Post:
    """What one post sends: the same at every attempt but for its signature."""

    waiting: Waiting
    rendered: Rendered


def has_due(tx: Tx) -> bool:
    """Whether there is anything to lease: a read, so that idle nodes write nothing."""
    return store.has_due(tx, clock.now_ms())


def lease(tx: Tx, owner: str, limit: int) -> list[Leased]:
    """Up to `limit` endpoints that have something due, longest waiting first; nobody else serves them."""
    return [
        Leased(endpoint, sealed, []) for endpoint, sealed in store.lease(tx, owner, limit, clock.now_ms())
    ]


def load(tx: Tx, leased: Sequence[Leased], formats: Formats) -> list[Leased]:
    """What is due at each, with what its first rendering needs: one query a table for the whole batch."""
    now = clock.now_ms()
    alive = [each.endpoint for each in leased if each.endpoint.is_active and each.endpoint.format in formats]
    places = [
        (endpoint.organization_id, endpoint.id, now, 1 if endpoint.failures else POSTS_AT_ONCE)
        for endpoint in alive
    ]
    waiting = store.due(tx, places)
    occasions = _occasions(tx, [each for each in waiting if each.rendered is None])
    due: dict[RowId, list[tuple[Waiting, Occasion | None]]] = {}
    for each in waiting:
        due.setdefault(each.endpoint_id, []).append((each, occasions.get((each.event_id, each.word))))
    return [replace(each, due=due.get(each.endpoint.id, [])) for each in leased]


def prepare(leased: Leased, format_: Format) -> tuple[list[Post], list[Waiting]]:
    """What is to be posted, rendered where it was not before; and what cannot be said any more. Pure."""
    posts, unsayable = [], []
    for waiting, occasion in leased.due:
        rendered = waiting.rendered
        if rendered is None and occasion is not None:
            rendered = format_.render(occasion)
        if rendered is None:
            unsayable.append(waiting)
        else:
            posts.append(Post(waiting, rendered))
    return posts, unsayable


def freeze(tx: Tx, posts: Sequence[Post]) -> None:
    """Before the first attempt."""
    store.freeze(tx, [(_row(post.waiting), post.rendered) for post in posts if post.waiting.rendered is None])


async def send(
    outgoing: Outgoing, sealer: Sealer, leased: Leased, format_: Format, posts: Sequence[Post]
) -> list[Attempt]:
    """Post them all at once; an attempt each, in order, whatever the far end does."""
    secret = sealer.unseal(leased.sealed, leased.endpoint.id)
    return list(
        await asyncio.gather(*(_send(outgoing, leased.endpoint, secret, format_, post) for post in posts))
    )


def settle(
    tx: Tx,
    owner: str,
    leased: Leased,
    format_: Format,
    attempts: Sequence[Attempt],
    unsayable: Sequence[Waiting],
) -> bool:
    """Log the attempts, drop what is done, put off what failed, give the endpoint back.

    True: it failed for too long and was disabled.
    """
    place = leased.endpoint.organization_id, leased.endpoint.id
    held = store.endpoint(tx, *place, hold=True)
    if held is None:
        return False
    store.log(tx, attempts)
    done = [_row(attempt) for attempt in attempts if attempt.next_at is None]
    store.drop(tx, [*done, *map(_row, unsayable)])
    store.put_off(
        tx,
        [
            (_row(attempt), attempt.next_at, attempt.number)
            for attempt in attempts
            if attempt.next_at is not None
        ],
    )
    disabled = bool(attempts) and _count_failures(tx, held, format_, attempts)
    store.release(tx, *place, owner)
    return disabled


def clear(tx: Tx, owner: str, endpoint: Endpoint, formats: Formats) -> None:
    """A part of what waits for an endpoint that takes nothing; with the last of it a deleted one goes."""
    place = endpoint.organization_id, endpoint.id
    held = store.endpoint(tx, *place, hold=True)
    if held is None:
        return
    takes_nothing = not held.is_active or held.format not in formats
    dropped = store.drop_waiting(tx, *place) if takes_nothing else 0
    if held.state is not EndpointState.DELETED:
        store.release(tx, *place, owner)
    elif dropped or not store.drop_endpoint(tx, *place):
        store.update_endpoint(tx, *place, owner=None, next_due_at=clock.now_ms())


def give_back(tx: Tx, owner: str, leased: Sequence[Leased], not_before: int) -> None:
    """Endpoints whose work did not come to its end; what waits there is due then, or later."""
    for each in leased:
        place = each.endpoint.organization_id, each.endpoint.id
        if store.endpoint(tx, *place, hold=True) is not None:
            store.release(tx, *place, owner, not_before=not_before)


def release_dead(tx: Tx, dead: Sequence[str]) -> None:
    """Free the endpoints that dead workers held."""
    store.release_owners(tx, dead)


def drop_old_log(tx: Tx) -> int:
    """Lines of the log that were kept long enough, store.DROPPED_AT_ONCE at most; answers how many."""
    return store.drop_old_attempts(tx, clock.now_ms() - LOG_KEPT_MS)


async def try_out(
    db: Database,
    principal: Principal,
    format_: Format,
    endpoint_id: RowId,
    *,
    word: str,
    outgoing: Outgoing,
    sealer: Sealer,
) -> Attempt:
    """Post a sample of `word` now, whatever the endpoint's state; logged, never repeated. Raises NotFound."""
    principal.require(WRITE)

    def read(tx: Tx) -> tuple[Endpoint, bytes, accounts.Organization | None]:
        endpoint = get_endpoint(tx, Principal(principal.organization_id), format_, endpoint_id)
        sealed = store.secret(tx, endpoint.organization_id, endpoint.id) or b""
        return endpoint, sealed, accounts.organization(tx, endpoint.organization_id)

    endpoint, sealed, organization = await db.read(read)
    assert organization is not None, "a principal's organization is there"
    sample = Sample(word, new_id(), organization, clock.now_ms())
    waiting = Waiting(endpoint.organization_id, endpoint.id, sample.event_id, word, 0, None)
    post = Post(waiting, format_.sample(sample))
    attempt = await _send(outgoing, endpoint, sealer.unseal(sealed, endpoint.id), format_, post)
    attempt = replace(attempt, next_at=None)
    await db.write_first(store.log, [attempt])
    return attempt


async def _send(
    outgoing: Outgoing, endpoint: Endpoint, secret: bytes, format_: Format, post: Post
) -> Attempt:
    waiting, body = post.waiting, post.rendered.body
    headers = {**CONTENT_TYPE, **post.rendered.headers, **format_.sign(secret, body, new_id())}
    started_at, number = clock.now_ms(), waiting.attempts + 1
    answer = await outgoing.post(endpoint.url, headers, body, format_.timeout_s)
    said = answer.body.decode("utf-8", "replace").replace("\0", "")[:ANSWER_MAX_CHARS]
    return Attempt(
        *_row(waiting),
        number=number,
        started_at=started_at,
        duration_ms=answer.duration_ms,
        status=answer.status,
        fault=answer.fault,
        answer=said or None,
        next_at=None if answer.is_success else format_.next_at(number, clock.now_ms()),
    )


def _count_failures(tx: Tx, held: Endpoint, format_: Format, attempts: Sequence[Attempt]) -> bool:
    """Failures in a row: one success forgets them. True: the endpoint is disabled now."""
    place = held.organization_id, held.id
    if any(attempt.is_success for attempt in attempts):
        if held.failures:
            store.update_endpoint(tx, *place, failures=0, failing_since=None)
        return False
    now = clock.now_ms()
    failures, since = held.failures + len(attempts), held.failing_since or now
    store.update_endpoint(tx, *place, failures=failures, failing_since=since)
    if not held.is_active or failures < format_.failures_max or now - since < format_.failing_ms:
        return False
    store.update_endpoint(tx, *place, state=int(EndpointState.DISABLED), updated_at=now)
    return True


def _occasions(tx: Tx, waiting: Sequence[Waiting]) -> dict[tuple[RowId, str], Occasion]:
    """By event and word; nothing where the event, or its organization, is kept no longer."""
    events = store.events(tx, [(each.organization_id, each.event_id) for each in waiting])
    organizations = accounts.organizations(tx, [event.organization_id for event in events.values()])
    rows, asked = {}, {}
    for organization_id in organizations:
        own = [each for each in events.values() if each.organization_id == organization_id]
        if ids := {each.message_id for each in own if each.message_id is not None}:
            found = messages.search(tx, organization_id, limit=len(ids), ids=sorted(ids))
            rows.update({row.id: row for row in found})
        for each in own:
            row = rows.get(each.message_id or b"")
            campaign_id = each.campaign_id or (row.campaign_id if row is not None else None)
            if campaign_id is not None:
                asked[each.id] = (organization_id, campaign_id)
    campaigns = store.campaigns(tx, list(asked.values()))
    return {
        (at.event_id, at.word): Occasion(
            event,
            at.word,
            organizations[event.organization_id],
            rows.get(event.message_id or b""),
            campaigns.get(asked.get(event.id, (0, b""))[1]),
        )
        for at in waiting
        if (event := events.get(at.event_id)) is not None and event.organization_id in organizations
    }


def _row(of: Waiting | Attempt) -> store.Row:
    return of.organization_id, of.endpoint_id, of.event_id, of.word
