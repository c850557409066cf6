"""From the queue to the far end: endpoints are leased, bodies frozen, posts made and settled.

No transaction spans the network. A body is kept before its first post, so a kill at any point repeats a post
with the same bytes, and never makes another.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

from postrider.db.database import Database, Tx
from postrider.engine import accounts, messages
from postrider.engine.audience import persons
from postrider.engine.audience.persons import Person
from postrider.engine.insight import Counts
from postrider.engine.insight.campaigns import counts_of
from postrider.engine.journal import Event
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
from postrider.kit import clock, json
from postrider.kit.ids import RowId, new_id
from postrider.kit.outgoing import Outgoing
from postrider.kit.record import record
from postrider.kit.seal import Sealer

POSTS_AT_ONCE = 32  # to one endpoint; to one whose last post failed a single one, until it takes it
POSTS_A_LEASE = 128  # to one endpoint before its next turn
POSTS_LOADED = 1_024  # of one round, over all its endpoints
ANSWER_MAX_CHARS = 1_000  # of an answer in the log
LOG_KEPT_MS = 30 * clock.DAY


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


@record
class Served:
    """What came of posts to an endpoint; with the last of them it is given back."""

    leased: Leased
    format: Format
    attempts: Sequence[Attempt]
    unsayable: Sequence[Waiting]
    is_last: bool = True


class Settled(NamedTuple):
    """`is_disabled`: since now, for it failed for too long. `goes_on`: the endpoint takes further posts."""

    is_disabled: bool
    goes_on: bool


def has_due(tx: Tx) -> bool:
    """Whether there is anything to lease: a read, so that idle nodes write nothing."""
    return store.has_due(tx, clock.now_ms())


def lag(tx: Tx) -> tuple[int, int]:
    """How long the longest waiting endpoint has been due, in ms; and how many are disabled."""
    return store.lag(tx, clock.now_ms())


def lease(tx: Tx, owner: str, limit: int) -> list[Leased]:
    """Up to `limit` endpoints that have something due, longest waiting first; nobody else serves them."""
    return [
        Leased(endpoint, sealed, []) for endpoint, sealed in store.lease(tx, owner, limit, clock.now_ms())
    ]


def load(tx: Tx, leased: Sequence[Leased], formats: Formats) -> list[Leased]:
    """What is due at each, with what its first rendering needs: one query a table for the whole batch."""
    now = clock.now_ms()
    alive = [each.endpoint for each in leased if each.endpoint.is_active and each.endpoint.format in formats]
    most = min(POSTS_A_LEASE, max(POSTS_AT_ONCE, POSTS_LOADED // max(1, len(alive))))
    places = [
        (endpoint.organization_id, endpoint.id, now, 1 if endpoint.failures else most) for endpoint in alive
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
    new = [(_row(post.waiting), post.rendered) for post in posts if post.waiting.rendered is None]
    store.freeze(tx, new, clock.now_ms())


async def send(
    outgoing: Outgoing,
    sealer: Sealer,
    leased: Leased,
    format_: Format,
    posts: Sequence[Post],
    turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
) -> list[Attempt]:
    """Post them all, each within a turn; an attempt each, in order, whatever the far end does."""
    secret = sealer.unseal(leased.sealed, leased.endpoint.id)

    async def post_one(post: Post) -> Attempt:
        async with turn():
            return await _send(outgoing, leased.endpoint, secret, format_, post)

    return list(await asyncio.gather(*map(post_one, posts)))


def settle(tx: Tx, owner: str, served: Sequence[Served]) -> list[Settled]:
    """Log attempts, drop what is done, put off what failed, give back; a statement each for all of them.

    Answers for each, in order. No endpoint is among them twice.
    """
    held = store.hold(tx, [_place(each.leased.endpoint) for each in served])
    there = [each for each in served if each.leased.endpoint.id in held]
    attempts = [attempt for each in there for attempt in each.attempts]
    store.log(tx, attempts)
    done = [_row(attempt) for attempt in attempts if attempt.next_at is None]
    store.drop(tx, [*done, *(_row(waiting) for each in there for waiting in each.unsayable)])
    store.put_off(
        tx,
        [
            (_row(attempt), attempt.next_at, attempt.number)
            for attempt in attempts
            if attempt.next_at is not None
        ],
    )
    disabled = _count_failures(tx, held, there)
    store.release(tx, owner, [_place(each.leased.endpoint) for each in there if each.is_last])
    return [
        Settled(id_ in disabled, id_ in held and held[id_].is_active and id_ not in disabled)
        for id_ in (each.leased.endpoint.id for each in served)
    ]


def clear(tx: Tx, owner: str, endpoint: Endpoint, formats: Formats) -> None:
    """A part of what waits for an endpoint that takes nothing; with the last of it a deleted one goes."""
    place = endpoint.organization_id, endpoint.id
    held = store.endpoint(tx, *place, hold=True)
    if held is None:
        return
    takes_nothing = not held.is_active or held.format not in formats
    dropped = store.drop_waiting(tx, *place) if takes_nothing else 0
    if held.state is not EndpointState.DELETED:
        store.release(tx, owner, [place])
    elif dropped or not store.drop_endpoint(tx, *place):
        store.update_endpoint(tx, *place, owner=None, next_due_at=clock.now_ms())


def give_back(tx: Tx, owner: str, leased: Sequence[Leased], not_before: int) -> None:
    """Endpoints whose work did not come to its end; what waits there is due then, or later."""
    held = store.hold(tx, [_place(each.endpoint) for each in leased])
    store.release(tx, owner, [_place(each) for each in held.values()], not_before=not_before)


def release_dead(tx: Tx, dead: Sequence[str]) -> None:
    """Free the endpoints that dead workers held."""
    store.release_owners(tx, dead)


def drop_old_log(tx: Tx) -> int:
    """Lines and bodies kept long enough, store.DROPPED_AT_ONCE of each at most; answers how many."""
    before = clock.now_ms() - LOG_KEPT_MS
    return store.drop_old_attempts(tx, before) + store.drop_old_bodies(tx, before)


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

    def keep(tx: Tx) -> None:
        freeze(tx, [post])
        store.log(tx, [attempt])

    await db.write_first(keep)
    return attempt


async def _send(
    outgoing: Outgoing, endpoint: Endpoint, secret: bytes, format_: Format, post: Post
) -> Attempt:
    waiting, body = post.waiting, post.rendered.body
    attempt_id = new_id()
    headers = format_.headers(secret, post.rendered, attempt_id)
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
        id=attempt_id,
        answer_headers=json.dumps(answer.headers) if answer.headers else None,
    )


def _count_failures(tx: Tx, held: Mapping[RowId, Endpoint], served: Sequence[Served]) -> set[RowId]:
    """Failures in a row: one success forgets them. Answers the endpoints that are disabled now."""
    now = clock.now_ms()
    counted: list[tuple[store.Place, int, int | None]] = []
    disabled = set()
    for each in served:
        endpoint, format_ = held[each.leased.endpoint.id], each.format
        if any(attempt.is_success for attempt in each.attempts):
            if endpoint.failures:
                counted.append((_place(endpoint), 0, None))
        elif each.attempts:
            failures, since = endpoint.failures + len(each.attempts), endpoint.failing_since or now
            counted.append((_place(endpoint), failures, since))
            is_lost = failures >= format_.failures_max and now - since >= format_.failing_ms
            if endpoint.is_active and is_lost:
                disabled.add(endpoint.id)
                store.update_endpoint(
                    tx, *_place(endpoint), state=int(EndpointState.DISABLED), updated_at=now
                )
    store.count_failures(tx, counted)
    return disabled


def _occasions(tx: Tx, waiting: Sequence[Waiting]) -> dict[tuple[RowId, str], Occasion]:
    """By event and word; nothing where the event, or its organization, is kept no longer."""
    events = store.events(tx, [(each.organization_id, each.event_id) for each in waiting])
    organizations = accounts.organizations(tx, [event.organization_id for event in events.values()])
    about = [
        (each.organization_id, each.message_id) for each in events.values() if each.message_id is not None
    ]
    rows = messages.rows(tx, about)
    domains = store.domains(
        tx, [(row.organization_id, row.domain_id) for row in rows.values() if row.domain_id]
    )
    campaign_of = {event.id: _campaign_id(event, rows) for event in events.values()}
    asked = [(events[id_].organization_id, each) for id_, each in campaign_of.items() if each is not None]
    campaigns = store.campaigns(tx, asked)
    counts = _counts(tx, list(events.values()))
    about_whom = _persons(tx, list(events.values()), rows)
    occasions = {}
    for at in waiting:
        event = events.get(at.event_id)
        if event is None or event.organization_id not in organizations:
            continue
        row = rows.get(event.message_id or b"")
        occasions[at.event_id, at.word] = Occasion(
            event,
            at.word,
            organizations[event.organization_id],
            row,
            campaigns.get(campaign_of[event.id] or b""),
            domains.get(row.domain_id or b"") if row is not None else None,
            about_whom.get(event.id),
            counts.get(event.campaign_id or b"") if event.message_id is None else None,
        )
    return occasions


def _counts(tx: Tx, events: Sequence[Event]) -> dict[RowId, Counts]:
    """What became of the campaigns that events are about; one query for each organization."""
    asked: dict[int, set[RowId]] = {}
    for event in events:
        if event.campaign_id is not None and event.message_id is None:
            asked.setdefault(event.organization_id, set()).add(event.campaign_id)
    found: dict[RowId, Counts] = {}
    for organization_id, ids in asked.items():
        found |= counts_of(tx, organization_id, ids)
    return found


def _persons(tx: Tx, events: Sequence[Event], rows: Mapping[RowId, Any]) -> dict[RowId, Person]:
    """The contacts that events are about, by event: the one that is named, or that of the recipient."""
    named = {each.id: each for each in events if each.contact_id is not None}
    by_id = persons.by_ids(tx, [(each.organization_id, each.contact_id or b"") for each in named.values()])
    addressed = {
        each.id: (each.organization_id, row.address_key)
        for each in events
        if each.id not in named and (row := rows.get(each.message_id or b"")) is not None
    }
    by_address = persons.by_addresses(tx, list(addressed.values()))
    found = {event_id: by_id.get(each.contact_id or b"") for event_id, each in named.items()}
    found |= {event_id: by_address.get(address) for event_id, address in addressed.items()}
    return {event_id: person for event_id, person in found.items() if person is not None}


def _campaign_id(event: Event, rows: Mapping[RowId, Any]) -> RowId | None:
    if event.campaign_id is not None:
        return event.campaign_id
    row = rows.get(event.message_id or b"")
    return None if row is None else row.campaign_id


def _place(endpoint: Endpoint) -> store.Place:
    return endpoint.organization_id, endpoint.id


def _row(of: Waiting | Attempt) -> store.Row:
    return of.organization_id, of.endpoint_id, of.event_id, of.word
