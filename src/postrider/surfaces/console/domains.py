"""Sending domains with their keys, records and last checks; a key's change, in the two steps it takes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from postrider.engine import domains
from postrider.engine.domains import Algorithm, DkimKey, Domain, keys
from postrider.engine.domains.rules import return_path_name
from postrider.engine.errors import Invalid
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ, WRITE = "domains:read", "domains:write"
NUMBER_MAX_DIGITS = 9
_FLAGS = ("ownership", "spf", "dkim", "dmarc", "return_path")
_SWITCHES = (
    "tracking_enabled", "open_tracking_enabled", "click_tracking_enabled", "unsubscribe_header_enabled",
)  # fmt: skip


async def list_domains(call: Call) -> Response:
    """In the order they were added; `next` is the `after` of the following page, null at the end."""
    query = call.request.query_params
    wire.known_only(query, frozenset({"after", "limit"}))
    limit, after = wire.limit_of(query), _after(query)
    found = await call.services.db.read(domains.list_domains, call.caller.principal, after=after, limit=limit)
    following = found[-1].number if len(found) == limit else None
    return answer({"domains": [_domain(domain) for domain in found], "next": following})


async def get_domain(call: Call) -> Response:
    domain = await call.services.db.read(domains.get, call.caller.principal, _domain_id(call))
    return answer({"domain": await _in_full(call, domain)})


async def rotate_key(call: Call) -> Response:
    """The next key, to be published; the one that signs goes on signing."""
    wire.known_only(call.request.query_params, frozenset({"algorithm"}))
    services, domain_id, algorithm = call.services, _domain_id(call), _algorithm(call.request.query_params)
    domain = await services.db.read(domains.get, call.caller.principal, domain_id)
    made = await asyncio.to_thread(keys.generate, services.sealer, algorithm)
    key = await services.db.write_first(domains.rotate, call.caller.principal, domain.id, key=made)
    return answer({"key": _key(key), "domain": await _in_full(call, domain)}, 201)


async def activate_key(call: Call) -> Response:
    """Ask the DNS for the next key, and sign with it from now on if it is there."""
    services, principal = call.services, call.caller.principal
    domain = await services.db.read(domains.get, principal, _domain_id(call))
    its_keys = await services.db.read(domains.keys_of, principal, domain.id)
    checks = await domains.check(domain, its_keys, services.resolver, services.hostname)
    key = await services.db.write_first(domains.activate, principal, domain.id, checks)
    domain = await services.db.read(domains.get, principal, domain.id)
    return answer({"key": _key(key), "domain": await _in_full(call, domain)})


_ALL, _ONE, _KEYS = "/v1/domains", "/v1/domains/{id}", "/v1/domains/{id}/keys"
# fmt: off
OPERATIONS: tuple[Operation, ...] = (
    Operation("listDomains", "GET", (_ALL,), "sending domains, oldest first", READ, list_domains),
    Operation("getDomain", "GET", (_ONE,), "a domain with its keys and records", READ, get_domain),
    Operation("rotateDomainKey", "POST", (_KEYS,), "make the next key", WRITE, rotate_key, status=201),
    Operation("activateDomainKey", "POST", (_KEYS + "/activate",), "sign with it", WRITE, activate_key),
)
# fmt: on


def _domain_id(call: Call) -> RowId:
    return wire.path_id(call.request.path_params["id"], "domain")


def _after(query: Mapping[str, str]) -> int:
    text = query.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_MAX_DIGITS):
        raise Invalid(field="after", message="after must be the number of a domain")
    return int(text)


def _algorithm(query: Mapping[str, str]) -> Algorithm:
    try:
        return Algorithm(query.get("algorithm", Algorithm.RSA))
    except ValueError:
        raise Invalid(field="algorithm", message=f"algorithm must be of {', '.join(Algorithm)}") from None


async def _in_full(call: Call, domain: Domain) -> dict[str, Any]:
    its_keys: Sequence[DkimKey] = await call.services.db.read(
        domains.keys_of, call.caller.principal, domain.id
    )
    records = domains.records(domain, its_keys, call.services.hostname)
    return {
        **_domain(domain),
        "keys": [_key(key) for key in its_keys],
        "records": [
            {
                "type": record.type,
                "name": record.name,
                "value": record.value,
                "purpose": record.purpose.value,
                "verified": record.verified,
            }
            for record in records
        ],
    }


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        "id": to_uuid(domain.id),
        "number": domain.number,
        "name": domain.name,
        "status": domain.status.value,
        "checks": {name: getattr(domain, f"{name}_ok") for name in _FLAGS},
        "bad_checks": domain.bad_checks,
        "checked_at": wire.time(domain.checked_at),
        "next_check_at": wire.time(domain.next_check_at),
        "verified_at": wire.time(domain.verified_at),
        "created_at": clock.to_iso(domain.created_at),
        **{name: getattr(domain, name) for name in _SWITCHES},
        "return_path": return_path_name(domain.name, domain.return_path_label),
        "hosting_provider": domain.hosting_provider,
    }


def _key(key: DkimKey) -> dict[str, Any]:
    return {
        "id": to_uuid(key.id),
        "selector": key.selector,
        "algorithm": key.algorithm.value,
        "state": key.state.value,
        "created_at": clock.to_iso(key.created_at),
        "activated_at": wire.time(key.activated_at),
        "retired_at": wire.time(key.retired_at),
    }
