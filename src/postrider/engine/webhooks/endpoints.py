"""Endpoints of one surface: made, listed, changed, deleted. Secrets are sealed, and told by who made them."""

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from postrider.db.database import Tx
from postrider.engine import accounts, domains
from postrider.engine.errors import Conflict, Invalid, NotFound, PlanLimitReached
from postrider.engine.principal import Principal
from postrider.engine.webhooks import store
from postrider.engine.webhooks.log import store as log
from postrider.engine.webhooks.model import Attempt, Endpoint, EndpointState, Format, Outcome
from postrider.kit import clock
from postrider.kit.ids import RowId, new_id, random_text
from postrider.kit.outgoing import BadUrl, check_url
from postrider.kit.seal import Sealer

READ, WRITE = "webhooks:read", "webhooks:write"
SECRET_CHARS = 40  # 200 bits, behind the prefix
SECRET_MAX_CHARS = 500
NAME_MAX_CHARS = 200
DESCRIPTION_MAX_CHARS = 1_000
DOMAINS_MAX = 100
NOUN = "webhook"


class Changes(TypedDict, total=False):
    """What an endpoint may be told; what is absent stays. `domain_ids` None or empty: all domains."""

    url: str
    events: Sequence[str]  # names of the format
    name: str | None
    description: str | None
    domain_ids: Sequence[RowId] | None
    is_active: bool
    secret: str


def make_secret() -> str:
    return f"whsec_{random_text(SECRET_CHARS)}"


def create_endpoint(
    tx: Tx,
    principal: Principal,
    format_: Format,
    *,
    sealer: Sealer,
    allow_private: bool,
    allow_plain: bool = False,
    limit: int = store.ENDPOINTS_MAX,
    **given: Unpack[Changes],
) -> Endpoint:
    """An endpoint with `url`, `events` and `secret`. `limit`: how many of this format the plan allows.

    `allow_private` and `allow_plain` as in `kit.outgoing.check_url`. Raises Invalid, NotFound for a domain,
    Conflict where the format wants URL and events to be unique, PlanLimitReached.
    """
    principal.require(WRITE)
    values = _checked(tx, principal, given, allow_private=allow_private, allow_plain=allow_plain)
    # Taking a number makes those who create at once wait for each other: the counts below are exact.
    number = accounts.next_number(tx, principal.organization_id, NOUN)
    others = store.endpoints(tx, principal.organization_id)
    own = [each for each in others if each.format == format_.name]
    if len(own) >= limit or len(others) >= store.ENDPOINTS_MAX:
        raise PlanLimitReached(limit=min(limit, store.ENDPOINTS_MAX), noun="webhook endpoints")
    now, endpoint_id = clock.now_ms(), new_id()
    _require_unique(format_, own, values["url"], values["events"])
    store.insert_endpoint(
        tx,
        **{
            "organization_id": principal.organization_id,
            "id": endpoint_id,
            "number": number,
            "format": format_.name,
            "state": int(EndpointState.ACTIVE),
            "created_at": now,
            "updated_at": now,
            **values,
            "secret": sealer.seal(given["secret"].encode(), endpoint_id),
        },
    )
    return _existing(store.endpoint(tx, principal.organization_id, endpoint_id), format_)


def list_endpoints(tx: Tx, principal: Principal, format_: Format) -> list[Endpoint]:
    """By number, oldest first."""
    principal.require(READ)
    found = store.endpoints(tx, principal.organization_id)
    return [each for each in found if each.format == format_.name]


def get_endpoint(tx: Tx, principal: Principal, format_: Format, endpoint_id: RowId) -> Endpoint:
    """Raises NotFound, also for another organization's or surface's."""
    principal.require(READ)
    return _existing(store.endpoint(tx, principal.organization_id, endpoint_id), format_)


def update_endpoint(
    tx: Tx,
    principal: Principal,
    format_: Format,
    endpoint_id: RowId,
    *,
    sealer: Sealer,
    allow_private: bool,
    allow_plain: bool = False,
    **given: Unpack[Changes],
) -> Endpoint:
    """Change what is given: on forgets its failures, off drops what waits. Raises as create_endpoint."""
    principal.require(WRITE)
    held = _existing(store.endpoint(tx, principal.organization_id, endpoint_id, hold=True), format_)
    values = _checked(tx, principal, given, allow_private=allow_private, allow_plain=allow_plain)
    if "url" in values or "events" in values:
        others = [each for each in store.endpoints(tx, principal.organization_id) if each.id != held.id]
        own = [each for each in others if each.format == format_.name]
        _require_unique(format_, own, values.get("url", held.url), values.get("events", held.events))
    if "secret" in given:
        values["secret"] = sealer.seal(given["secret"].encode(), endpoint_id)
    if given.get("is_active"):
        values.update(failures=0, failing_since=None)
    now = clock.now_ms()
    store.update_endpoint(tx, principal.organization_id, endpoint_id, updated_at=now, **values)
    if given.get("is_active") is False:
        store.wake(tx, principal.organization_id, endpoint_id, now)  # the worker drops what waits
    return _existing(store.endpoint(tx, principal.organization_id, endpoint_id), format_)


def delete_endpoint(tx: Tx, principal: Principal, format_: Format, endpoint_id: RowId) -> None:
    """Nothing is posted to it from now on; the worker drops what waits, and its log. Raises NotFound."""
    principal.require(WRITE)
    _existing(store.endpoint(tx, principal.organization_id, endpoint_id, hold=True), format_)
    store.update_endpoint(tx, principal.organization_id, endpoint_id, state=int(EndpointState.DELETED))
    store.wake(tx, principal.organization_id, endpoint_id, clock.now_ms())


def attempts_of(
    tx: Tx,
    principal: Principal,
    format_: Format,
    endpoint_id: RowId,
    *,
    limit: int,
    offset: int,
    oldest_first: bool = False,
) -> tuple[list[Attempt], int]:
    """A part of the log of posts, and how long it is (store.COUNT_MAX at most). Raises NotFound."""
    get_endpoint(tx, principal, format_, endpoint_id)
    place = principal.organization_id, endpoint_id
    total = log.count(tx, place, Outcome, word=None)
    if offset >= total:
        return [], total
    return store.attempts_page(tx, *place, limit=limit, offset=offset, oldest_first=oldest_first), total


def domain_names(tx: Tx, organization_id: int, endpoints: Sequence[Endpoint]) -> dict[str, str]:
    """The names of the domains that endpoints are bound to, by hexadecimal id; deleted ones have none."""
    ids = {bytes.fromhex(each) for endpoint in endpoints for each in endpoint.domain_ids or ()}
    found = store.domains(tx, [(organization_id, id_) for id_ in ids])
    return {id_.hex(): domain.name for id_, domain in found.items()}


def _checked(
    tx: Tx, principal: Principal, given: Changes, *, allow_private: bool, allow_plain: bool
) -> dict[str, Any]:
    """The columns of what is given, but for the secret."""
    values: dict[str, Any] = {}
    if "url" in given:
        try:
            check_url(given["url"], allow_private=allow_private, allow_plain=allow_plain)
        except BadUrl as bad:
            raise Invalid(field="url", message=str(bad)) from None
        values["url"] = given["url"]
    if "events" in given:
        values["events"] = list(dict.fromkeys(given["events"]))
        if not values["events"]:
            raise Invalid(field="events", message="at least one event is required")
    for field, longest in (("name", NAME_MAX_CHARS), ("description", DESCRIPTION_MAX_CHARS)):
        if field in given:
            text = given[field]  # type: ignore[literal-required]  # a key of Changes
            if text is not None and len(text) > longest:
                raise Invalid(field=field, message=f"{field} must have at most {longest} characters")
            values[field] = text
    if "secret" in given and not 0 < len(given["secret"]) <= SECRET_MAX_CHARS:
        raise Invalid(field="secret", message=f"secret must have 1 to {SECRET_MAX_CHARS} characters")
    if "domain_ids" in given:
        values["domain_ids"] = _own_domains(tx, principal, given["domain_ids"] or ())
    if "is_active" in given:
        values["state"] = int(EndpointState.ACTIVE if given["is_active"] else EndpointState.OFF)
    return values


def _own_domains(tx: Tx, principal: Principal, ids: Sequence[RowId]) -> list[str] | None:
    """Raises NotFound for one that the organization does not have."""
    if len(ids) > DOMAINS_MAX:
        raise Invalid(field="domain_ids", message=f"at most {DOMAINS_MAX} domains")
    inside = Principal(principal.organization_id)  # the scope asked for is webhooks', not domains'
    for domain_id in ids:
        domains.get(tx, inside, domain_id)
    return [domain_id.hex() for domain_id in dict.fromkeys(ids)] or None


def _require_unique(format_: Format, others: Sequence[Endpoint], url: str, events: Sequence[str]) -> None:
    twins = (each for each in others if each.url == url and set(each.events) == set(events))
    if format_.is_unique and any(twins):
        raise Conflict(noun=NOUN)


def _existing(endpoint: Endpoint | None, format_: Format) -> Endpoint:
    if endpoint is None or endpoint.format != format_.name or endpoint.state is EndpointState.DELETED:
        raise NotFound(noun=NOUN)
    return endpoint
