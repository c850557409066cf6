"""Suppressions and unsubscribes: who is not mailed, and who does not want to be.

The first are the engine's blocks, the second its opt-outs; each is removed from its own list only.
"""

from typing import Any, Literal

from starlette.responses import Response

from postrider.engine import domains, suppression
from postrider.engine.errors import Conflict, Invalid, NotFound
from postrider.engine.suppression import Class, Kept, New, Reason, Scope, Source
from postrider.kit import clock
from postrider.kit.address import address_key
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.errors import Refused
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.query import DomainId, Page, Search, read_query
from postrider.surfaces.mailerlogic.vocabulary import (
    GIVEN_REASONS,
    REASONS,
    SCOPES,
    SOURCES,
    SUPPRESSIONS,
)
from postrider.surfaces.mailerlogic.wire import NewSuppression, NewUnsubscribe

READ, WRITE = "suppression:read", "suppression:write"
UNSUBSCRIBE = "unsubscribe"
_SHOWN_SCOPES = tuple(scope for scope, word in SCOPES.items() if word is not None)


class SuppressionQuery(Page):
    type: Literal["bounce", "complaint"] | None = None
    email: Search | None = None
    domain_id: DomainId | None = None


class UnsubscribeQuery(Page):
    search: Search | None = None
    source: Literal["link", "one-click", "api", "manual"] | None = None
    domain_id: DomainId | None = None


async def list_suppressions(call: Call) -> Response:
    query = read_query(call.request, SuppressionQuery)
    reasons = [
        reason
        for reason, words in SUPPRESSIONS.items()
        if words is not None and query.type in (None, words[0])
    ]
    found, total = await _found(
        call, query, query.domain_id, classes=[Class.BLOCK], reasons=reasons, pattern=query.email
    )
    return answer({"suppressions": [_suppression(kept) for kept in found], "pagination": query.told(total)})


async def add_suppression(call: Call, new: NewSuppression) -> Response:
    """An unsubscribe entered here stands in the list of unsubscribes."""
    kept = await _entered(call, new, GIVEN_REASONS[new.type])
    return answer({"message": "Suppression added", "suppression": _suppression(kept)}, 201)


async def remove_suppression(call: Call) -> Response:
    row_id = path_id(call.request.path_params["suppressionId"], "suppression")
    principal = call.caller.principal
    await call.services.db.write_first(
        lambda tx: suppression.take_back(tx, principal, row_id, classes=[Class.BLOCK])
    )
    return answer({"message": "Suppression removed"})


async def list_unsubscribes(call: Call) -> Response:
    query = read_query(call.request, UnsubscribeQuery)
    sources = [source for source, word in SOURCES.items() if word == query.source]
    found, total = await _found(
        call, query, query.domain_id, classes=[Class.OPTOUT], sources=sources, pattern=query.search
    )
    return answer({"unsubscribes": [_entry(kept) for kept in found], "pagination": query.told(total)})


async def add_unsubscribe(call: Call, new: NewUnsubscribe) -> Response:
    kept = await _entered(call, new, Reason.UNSUBSCRIBED)
    return answer({"message": "Email unsubscribed successfully", "unsubscribe": _entry(kept)}, 201)


async def remove_unsubscribe(call: Call) -> Response:
    """The opt-out of all mail, or of one domain's; what is no address has none."""
    principal = call.caller.principal
    try:
        key = suppression.key_of(call.request.path_params["email"])
    except Invalid:
        raise NotFound(noun="unsubscribe") from None
    scope = await _scope(call, call.request.query_params.get("domain_id"))
    if not await call.services.db.write_first(
        lambda tx: suppression.take_back_address(tx, principal, key, classes=[Class.OPTOUT], scope=scope)
    ):
        raise NotFound(noun="unsubscribe")
    return answer({"message": "Email re-subscribed successfully"})


def _spelled(path: str) -> tuple[str, str]:
    return f"/api/customer/{path}", f"/api/v1/customer/{path}"


_SUPPRESSIONS, _ONE_SUPPRESSION = _spelled("suppressions"), _spelled("suppressions/{suppressionId}")
_UNSUBSCRIBES, _ONE_UNSUBSCRIBE = _spelled("unsubscribes"), _spelled("unsubscribes/{email}")
OPERATIONS = (
    Operation("listSuppressions", "GET", _SUPPRESSIONS, "Suppressed addresses", READ, list_suppressions),
    Operation(
        "addSuppression", "POST", _SUPPRESSIONS, "Suppress an address", WRITE,
        add_suppression, body=NewSuppression, status=201,
    ),
    Operation(
        "removeSuppression", "DELETE", _ONE_SUPPRESSION, "Lift a suppression", WRITE, remove_suppression
    ),
    Operation("listUnsubscribes", "GET", _UNSUBSCRIBES, "Opt-outs", READ, list_unsubscribes),
    Operation(
        "addUnsubscribe", "POST", _UNSUBSCRIBES, "Record an opt-out", WRITE,
        add_unsubscribe, body=NewUnsubscribe, status=201,
    ),
    Operation("removeUnsubscribe", "DELETE", _ONE_UNSUBSCRIBE, "Re-subscribe", WRITE, remove_unsubscribe),
)  # fmt: skip


async def _found(call: Call, query: Page, domain_id: bytes | None, **narrowed: Any) -> tuple[list[Kept], int]:
    """A page of entries of the scopes that have a word here, and how many there are."""
    principal = call.caller.principal
    if domain_id is None:
        asked = {**query.times, **narrowed, "scopes": _SHOWN_SCOPES}
    else:
        asked = {**query.times, **narrowed, "scopes": [Scope.DOMAIN], "scope_id": domain_id.hex()}

    def read(tx: Any) -> tuple[list[Kept], int]:
        page = suppression.browse(tx, principal, limit=query.limit, offset=query.offset, **asked)
        return page, suppression.count(tx, principal, **asked)

    return await call.services.db.read(read)


async def _entered(call: Call, new: NewUnsubscribe, reason: Reason) -> Kept:
    principal = call.caller.principal
    is_optout = reason is Reason.UNSUBSCRIBED
    scope, scope_id = await _scope(call, new.domain_id)
    entry = New(
        address_key=address_key(new.email.address),
        class_=Class.OPTOUT if is_optout else Class.BLOCK,
        reason=reason,
        source=Source.API,
        scope=scope,
        scope_id=scope_id,
        note=new.reason or None,
    )
    try:
        return await call.services.db.write_first(suppression.put, principal, entry)
    except Conflict:
        if not is_optout:
            raise
        told = f"{new.email.address} is already unsubscribed."
        raise Refused(409, "Already unsubscribed", told) from None


async def _scope(call: Call, domain_id: str | None) -> tuple[Scope, str]:
    """Raises NotFound for a domain that the account does not have."""
    if domain_id is None:
        return Scope.ORGANIZATION, ""
    row_id = path_id(domain_id, "domain")
    domain = await call.services.db.read(domains.get, call.caller.principal, row_id)
    return Scope.DOMAIN, domain.id.hex()


def _suppression(kept: Kept) -> dict[str, Any]:
    type_, bounce_type = SUPPRESSIONS[Reason(kept.reason)] or (UNSUBSCRIBE, None)
    return {**_entry(kept), "type": type_, "bounce_type": bounce_type, "is_whitelisted": kept.is_allowed}


def _entry(kept: Kept) -> dict[str, Any]:
    is_of_domain = kept.scope is Scope.DOMAIN
    return {
        "id": to_uuid(kept.id),
        "email": kept.address_key,
        "source": SOURCES[Source(kept.source)],
        "reason": kept.note or REASONS[Reason(kept.reason)],
        "scope": SCOPES[kept.scope],
        "domain_id": to_uuid(bytes.fromhex(kept.scope_id)) if is_of_domain else None,
        "created_at": clock.to_iso(kept.created_at),
    }
