"""Sending domains: listed, added, changed, deleted, their DNS records shown and checked."""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from postrider.engine import domains
from postrider.engine.accounts import PLANS
from postrider.engine.domains import Checks, DkimKey, Domain, SigningKey, keys
from postrider.engine.domains.model import Check
from postrider.engine.domains.update import Switches
from postrider.engine.errors import NotFound
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.vocabulary import DOMAIN_STATUSES, PURPOSES
from postrider.surfaces.mailerlogic.wire import DomainChanges, DomainTracking, NewDomain

READ, WRITE = "domains:read", "domains:write"
_SWITCHES = (
    "tracking_enabled", "open_tracking_enabled", "click_tracking_enabled", "unsubscribe_header_enabled",
)  # fmt: skip


async def list_domains(call: Call) -> Response:
    found = await call.services.db.read(domains.list_domains, call.caller.principal)
    return answer({"domains": await _shown(call, found)})


async def add_domain(call: Call, new: NewDomain) -> Response:
    services, principal = call.services, call.caller.principal
    key = await asyncio.to_thread(keys.generate, services.sealer)
    limit = PLANS[call.caller.organization.plan].domains
    domain = await services.db.write_first(domains.add, principal, new.domain, key=key, limit=limit)
    shown, records = await _one(call, domain), await _records(call, domain)
    message = "Domain added. Configure the DNS records, then verify."
    return answer({"message": message, "domain": shown, "dns_records": records}, 201)


async def domain_dns(call: Call) -> Response:
    domain = await call.services.db.read(domains.get, call.caller.principal, _domain_id(call))
    return answer({"domain": domain.name, "records": await _records(call, domain)})


async def verify_domain(call: Call) -> Response:
    """Ask the DNS now; a failing check is an answer, not an error."""
    services, principal = call.services, call.caller.principal
    domain = await services.db.read(domains.get, principal, _domain_id(call))
    its_keys = await services.db.read(domains.keys_of, principal, domain.id)
    checks = await domains.check(domain, its_keys, services.resolver, services.hostname)
    domain = await services.db.write_first(domains.apply_checks, principal, domain.id, checks, clock.now_ms())
    message = "Domain verified" if domain.is_verified else "Domain not verified: see the reasons"
    return answer(
        {
            "verified": domain.is_verified,
            "message": message,
            "checks": _checks(checks),
            "domain": await _one(call, domain),
        }
    )


async def update_domain(call: Call, changes: DomainChanges) -> Response:
    """What is left out stays, null inherits."""
    if changes.tracking_domain_id is not None:
        raise NotFound(noun="tracking domain")
    domain = await _change(call, changes)
    return answer({"message": "Domain updated", "domain": await _one(call, domain)})


async def delete_domain(call: Call) -> Response:
    await call.services.db.write_first(domains.remove, call.caller.principal, _domain_id(call))
    call.services.keyring.forget()
    return answer({"message": "Domain deleted"})


async def domain_tracking(call: Call) -> Response:
    domain = await call.services.db.read(domains.get, call.caller.principal, _domain_id(call))
    return answer(_tracking(call, domain))


async def update_domain_tracking(call: Call, changes: DomainTracking) -> Response:
    """As update_domain, answered with the overrides beside the defaults."""
    domain = await _change(call, changes)
    return answer({"message": "Tracking settings updated", **_tracking(call, domain)})


_ALL = ("/api/v1/customer/domains", "/api/customer/domains")
_ONE = "/api/v1/customer/domains/{id}"
_TRACKING = f"{_ONE}/tracking"
OPERATIONS = (
    Operation("listDomains", "GET", _ALL, "Sending domains", READ, list_domains),
    Operation(
        "addDomain", "POST", _ALL, "Add a sending domain", WRITE, add_domain, body=NewDomain, status=201
    ),
    Operation("getDomainDns", "GET", (f"{_ONE}/dns",), "DNS records to configure", READ, domain_dns),
    Operation("verifyDomain", "POST", (f"{_ONE}/verify",), "Check the DNS records", WRITE, verify_domain),
    Operation(
        "updateDomain", "PATCH", (_ONE,), "Change tracking overrides", WRITE,
        update_domain, body=DomainChanges,
    ),
    Operation("deleteDomain", "DELETE", (_ONE,), "Delete a sending domain", WRITE, delete_domain),
    Operation(
        "getDomainTracking", "GET", (_TRACKING,), "Tracking overrides and defaults", READ, domain_tracking
    ),
    Operation(
        "updateDomainTracking", "PATCH", (_TRACKING,), "Change tracking overrides", WRITE,
        update_domain_tracking, body=DomainTracking,
    ),
)  # fmt: skip


def _domain_id(call: Call) -> RowId:
    return path_id(call.request.path_params["id"], "domain")


async def _change(call: Call, changes: DomainTracking) -> Domain:
    given: Any = changes.model_dump(include=set(_SWITCHES), exclude_unset=True)
    switches: Switches = given
    return await call.services.db.write_first(
        lambda tx: domains.update(tx, call.caller.principal, _domain_id(call), **switches)
    )


async def _records(call: Call, domain: Domain) -> list[dict[str, Any]]:
    its_keys: Sequence[DkimKey] = await call.services.db.read(
        domains.keys_of, call.caller.principal, domain.id
    )
    return [
        {
            "type": record.type,
            "name": record.name,
            "value": record.value,
            "purpose": PURPOSES[record.purpose],
            "verified": bool(record.verified),
        }
        for record in domains.records(domain, its_keys, call.services.hostname)
        if PURPOSES[record.purpose] is not None
    ]


async def _one(call: Call, domain: Domain) -> dict[str, Any]:
    return (await _shown(call, [domain]))[0]


async def _shown(call: Call, found: Sequence[Domain]) -> list[dict[str, Any]]:
    pairs = [(domain.organization_id, domain.id) for domain in found]
    signing = await call.services.db.read(domains.signing_keys, pairs)
    return [_domain(domain, signing.get(domain.id, [])) for domain in found]


def _domain(domain: Domain, signing: Sequence[SigningKey]) -> dict[str, Any]:
    return {
        "id": to_uuid(domain.id),
        "domain": domain.name,
        "status": DOMAIN_STATUSES[domain.status],
        "is_verified": domain.is_verified,
        "spf_verified": domain.spf_ok,
        "dkim_verified": domain.dkim_ok,
        "dmarc_verified": domain.dmarc_ok,
        "dkim_selector": signing[0].selector if signing else None,
        **{name: getattr(domain, name) for name in _SWITCHES},
        "tracking_domain_id": domain.tracking_domain_id and to_uuid(domain.tracking_domain_id),
        "created_at": clock.to_iso(domain.created_at),
        "verified_at": domain.verified_at and clock.to_iso(domain.verified_at),
    }


def _tracking(call: Call, domain: Domain) -> dict[str, Any]:
    """Overrides and what they override; this installation reviews no accounts, so nobody is in a sandbox."""
    settings = call.caller.organization.settings
    return {
        "domain_id": to_uuid(domain.id),
        "domain": domain.name,
        **{name: getattr(domain, name) for name in _SWITCHES},
        "account_defaults": {name: getattr(settings, name) for name in _SWITCHES},
        "is_in_sandbox": False,
        "sandbox_message": None,
    }


def _checks(checks: Checks) -> dict[str, Any]:
    return {
        "spf": _check(checks.spf),
        "dkim": _check(checks.dkim),
        "dmarc": _check(checks.dmarc),
        "verification": _check(checks.ownership),
    }


def _check(check: Check) -> dict[str, Any]:
    return {"verified": check.ok, "reason": check.reason or None}
