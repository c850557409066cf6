"""Who is not mailed: the organization's blocks, opt-outs and allow entries, and the operator's own list.

The operator is whoever holds a key of the installation's first live organization with the operator's scopes.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar

from pydantic import AfterValidator, Field, StringConstraints
from starlette.responses import Response

from postrider.engine import domains, suppression
from postrider.engine.accounts import operator
from postrider.engine.errors import Invalid
from postrider.engine.suppression import Class, Kept, New, OperatorEntry, Reason, Scope, Source
from postrider.engine.suppression.find import PATTERN_MAX_CHARS, WILDCARDS_MAX
from postrider.engine.suppression.put import NOTE_MAX_CHARS
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.fields import OneLine, Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ, WRITE = "suppression:read", "suppression:write"
PARAMETERS = frozenset({"class", "reason", "source", "address", "since", "until", "before", "limit"})
P = ParamSpec("P")
T = TypeVar("T")


def _key(text: str) -> str:
    try:
        return suppression.key_of(text)
    except Invalid as error:
        raise fault(error.sentence) from None


AddressKey = Annotated[str, AfterValidator(_key)]
Note = Annotated[OneLine, StringConstraints(max_length=NOTE_MAX_CHARS)]


class NewSuppression(Wire):
    """An address, and what is to hold for it: of one domain's mail, of one stream's, or of all."""

    address: AddressKey
    class_: Literal["block", "optout", "allow"] = Field(alias="class")
    domain_id: str | None = None
    stream: Literal["transactional", "shared", "broadcast"] | None = None
    note: Note | None = None


class NewOperatorSuppression(Wire):
    address: AddressKey
    reason: Annotated[Note, StringConstraints(min_length=1)]


async def list_suppressions(call: Call) -> Response:
    """Newest first; `next` is the `before` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, PARAMETERS)
    limit, narrowed = wire.limit_of(query), _narrowed(query)
    found = await call.services.db.read(
        lambda tx: suppression.browse(tx, call.caller.principal, limit=limit, **narrowed)
    )
    following = to_uuid(found[-1].id) if len(found) == limit else None
    return answer({"suppressions": [_shown(kept) for kept in found], "next": following})


async def get_suppression(call: Call) -> Response:
    kept = await call.services.db.read(suppression.get, call.caller.principal, _id(call))
    return answer({"suppression": _shown(kept)})


async def add_suppression(call: Call, new: NewSuppression) -> Response:
    scope, scope_id = await _scope(call, new)
    class_ = Class[new.class_.upper()]
    entry = New(
        address_key=new.address,
        class_=class_,
        reason=Reason.UNSUBSCRIBED if class_ is Class.OPTOUT else Reason.MANUAL,
        source=Source.MANUAL,
        scope=scope,
        scope_id=scope_id,
        note=new.note,
    )
    kept = await call.services.db.write_first(suppression.put, call.caller.principal, entry)
    return answer({"suppression": _shown(kept)}, 201)


async def remove_suppression(call: Call) -> Response:
    kept = await call.services.db.write_first(suppression.take_back, call.caller.principal, _id(call))
    return answer({"suppression": _shown(kept)})


async def list_operator_suppressions(call: Call) -> Response:
    """In alphabetical order; `next` is the `after` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, frozenset({"after", "limit"}))
    limit, after = wire.limit_of(query), query.get("after", "")
    _text(after, "after")
    browse = _by_operator(call, operator.READ, suppression.browse_operator, limit=limit, after=after)
    found = await call.services.db.read(browse)
    following = found[-1].address_key if len(found) == limit else None
    return answer({"suppressions": [_operators(entry) for entry in found], "next": following})


async def add_operator_suppression(call: Call, new: NewOperatorSuppression) -> Response:
    put = _by_operator(call, operator.WRITE, suppression.put_operator, new.address, new.reason)
    entry = await call.services.db.write_first(put)
    return answer({"suppression": _operators(entry)}, 201)


async def remove_operator_suppression(call: Call) -> Response:
    query = call.request.query_params
    wire.known_only(query, frozenset({"address"}))
    key = suppression.key_of(query.get("address", ""))
    take_back = _by_operator(call, operator.WRITE, suppression.take_back_operator, key)
    entry = await call.services.db.write_first(take_back)
    return answer({"suppression": _operators(entry)})


_ALL, _ONE, _OPERATOR = "/v1/suppressions", "/v1/suppressions/{id}", "/v1/operator/suppressions"
OPERATIONS: tuple[Operation, ...] = (
    Operation("listSuppressions", "GET", (_ALL,), "who is not mailed, and why", READ, list_suppressions),
    Operation("getSuppression", "GET", (_ONE,), "one entry", READ, get_suppression),
    Operation(
        "addSuppression", "POST", (_ALL,), "block, opt out or allow an address", WRITE,
        add_suppression, body=NewSuppression, status=201,
    ),
    Operation("removeSuppression", "DELETE", (_ONE,), "take an entry back", WRITE, remove_suppression),
    Operation(
        "listOperatorSuppressions", "GET", (_OPERATOR,), "addresses refused for every organization",
        operator.READ, list_operator_suppressions,
    ),
    Operation(
        "addOperatorSuppression", "POST", (_OPERATOR,), "refuse an address for every organization",
        operator.WRITE, add_operator_suppression, body=NewOperatorSuppression, status=201,
    ),
    Operation(
        "removeOperatorSuppression", "DELETE", (_OPERATOR,), "refuse it no longer", operator.WRITE,
        remove_operator_suppression,
    ),
)  # fmt: skip


def _id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], "suppression")


def _by_operator(
    call: Call, scope: str, act: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
) -> Callable[[Any], T]:
    """`act` in one transaction with the look whether the caller may; that raises Forbidden."""

    def run(tx: Any) -> T:
        operator.require_operator(tx, call.caller.principal, scope)
        return act(tx, *args, **kwargs)

    return run


async def _scope(call: Call, new: NewSuppression) -> tuple[Scope, str]:
    """Raises Invalid where both are named, NotFound for a domain the organization does not have."""
    if new.domain_id is not None and new.stream is not None:
        raise Invalid(field="stream", message="An entry is of a domain or of a stream, not of both")
    if new.stream is not None:
        return Scope.STREAM, new.stream
    if new.domain_id is None:
        return Scope.ORGANIZATION, ""
    domain_id = wire.path_id(new.domain_id, "domain")
    domain = await call.services.db.read(domains.get, call.caller.principal, domain_id)
    return Scope.DOMAIN, domain.id.hex()


def _narrowed(query: Mapping[str, str]) -> dict[str, Any]:
    """The filters as `suppression.browse` takes them; raises Invalid."""
    pattern = query.get("address", "")
    _text(pattern, "address")
    return {
        "before": wire.row_id_of(query, "before"),
        "classes": wire.words_of(query, "class", {each.name.lower(): each for each in Class}),
        "reasons": wire.words_of(query, "reason", {each.value: each for each in Reason}),
        "sources": wire.words_of(query, "source", {each.value: each for each in Source}),
        "pattern": pattern,
        "since": wire.time_of(query, "since"),
        "until": wire.time_of(query, "until"),
    }


def _text(text: str, field: str) -> None:
    if "\0" in text or len(text) > PATTERN_MAX_CHARS or text.count("*") > WILDCARDS_MAX:
        told = f"{field} has at most {PATTERN_MAX_CHARS} characters, {WILDCARDS_MAX} of them *"
        raise Invalid(field=field, message=told)


def _shown(kept: Kept) -> dict[str, Any]:
    is_of_domain = kept.scope is Scope.DOMAIN
    return {
        "id": to_uuid(kept.id),
        "address": kept.address_key,
        "class": kept.class_.name.lower(),
        "scope": kept.scope.name.lower(),
        "domain_id": to_uuid(bytes.fromhex(kept.scope_id)) if is_of_domain else None,
        "stream": kept.scope_id if kept.scope is Scope.STREAM else None,
        "reason": kept.reason,
        "source": kept.source,
        "note": kept.note,
        "message_id": kept.message_id and to_uuid(kept.message_id),
        "is_allowed": kept.is_allowed,
        "created_at": clock.to_iso(kept.created_at),
        "expires_at": wire.time(kept.expires_at),
    }


def _operators(entry: OperatorEntry) -> dict[str, Any]:
    return {
        "address": entry.address_key,
        "reason": entry.reason,
        "created_at": clock.to_iso(entry.created_at),
    }
