"""Sender domains: added, shown, changed, their DNS records looked up, deleted, their queue emptied.

Every command shows the union of what the contract's commands show of a domain.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from postrider.engine import domains
from postrider.engine.accounts import PLANS, Settings
from postrider.engine.delivery import control
from postrider.engine.domains import DkimKey, DnsRecord, Domain, keys
from postrider.engine.domains.rules import RETURN_PATH_LABEL
from postrider.engine.domains.update import Switches
from postrider.engine.errors import Conflict, Invalid, NotFound, PlanLimitReached
from postrider.kit import clock
from postrider.surfaces.common.operations import Call
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.errors import Code, Form
from postrider.surfaces.octeth.limits import CLEAR_ROUNDS_MAX
from postrider.surfaces.octeth.parameters import NUMBER, PROVIDER, SUBDOMAIN, SWITCH, TEXT
from postrider.surfaces.octeth.vocabulary import (
    DOMAIN_STATUSES,
    MISSING_RECORD_STATUSES,
    PENDING,
    VERIFICATION_STATUSES,
    VERIFIED,
)

READ, WRITE, QUEUE = "domains:read", "domains:write", "messages:write"
_SWITCHES = {
    "LinkTracking": "click_tracking_enabled",
    "OpenTracking": "open_tracking_enabled",
    "UnsubscribeLink": "unsubscribe_header_enabled",
    "HostingProvider": "hosting_provider",
    "Subdomain": "return_path_label",
}


async def add_domain(call: Call, values: Values) -> Payload:
    services, principal = call.services, call.caller.principal
    key = await asyncio.to_thread(keys.generate, services.sealer)
    limit = PLANS[call.caller.organization.plan].domains
    switches = _switches(values)

    def add(tx: Any) -> Domain:
        domain = domains.add(tx, principal, values["DomainName"], key=key, limit=limit)
        return domains.update(tx, principal, domain.id, **switches)

    domain = await services.db.write_first(add)
    return {"NewSenderDomainID": domain.number, "Domain": await _shown(call, domain, domain.number)}


async def get_domain(call: Call, values: Values) -> Payload:
    domain = await found_domain(call, values)
    return {"Domain": await _shown(call, domain, domain.number)}


async def get_domains(call: Call, values: Values) -> Payload:
    """All of them, in the order they were added."""
    principal = call.caller.principal

    def read(tx: Any) -> list[tuple[Domain, list[DkimKey]]]:
        found, page = [], domains.list_domains(tx, principal)
        while page:
            its_keys = domains.keys_of_all(tx, principal, [domain.id for domain in page])
            found += [(domain, its_keys.get(domain.id, [])) for domain in page]
            page = domains.list_domains(tx, principal, after=page[-1].number)
        return found

    pairs = await call.services.db.read(read)
    return {"Domains": [_domain(call, domain, its_keys) for domain, its_keys in pairs]}


async def update_domain(call: Call, values: Values) -> Payload:
    """What is left out stays; an empty Subdomain is the default one."""
    before = await found_domain(call, values)
    switches = _switches(values)
    domain = await call.services.db.write_first(
        lambda tx: domains.update(tx, call.caller.principal, before.id, **switches)
    )
    changed = domain.return_path_label != before.return_path_label
    return {"Domain": await _shown(call, domain), "SubdomainChanged": changed}


async def verify_domain(call: Call, values: Values) -> Payload:
    """Ask the DNS now and keep what it says; records that are not there are an answer, not an error."""
    services, principal = call.services, call.caller.principal
    domain = await found_domain(call, values)
    its_keys = await services.db.read(domains.keys_of, principal, domain.id)
    checks = await domains.check(domain, its_keys, services.resolver, services.hostname)
    domain = await services.db.write_first(domains.apply_checks, principal, domain.id, checks, clock.now_ms())
    results = [
        {"Host": record.name, "Type": record.type, "Value": record.value, "Verified": bool(record.verified)}
        for record in _records(call, domain, its_keys)
    ]
    return {"Domain": _domain(call, domain, its_keys), "DNSVerificationResults": results}


async def delete_domain(call: Call, values: Values) -> Payload:
    domain = await found_domain(call, values)
    await call.services.db.write_first(domains.remove, call.caller.principal, domain.id)
    call.services.keyring.forget()
    return {}


async def clear_queue(call: Call, values: Values) -> Payload:
    """Cancel what waits, scheduled mail too, in portions: a long write would stop the others."""
    domain = await found_domain(call, values)
    for _ in range(CLEAR_ROUNDS_MAX):
        if not await call.services.db.write(control.cancel_of_domain, call.caller.principal, domain.id):
            break
    return {}


async def found_domain(call: Call, values: Values) -> Domain:
    """The domain that a command's DomainID numbers; raises NotFound."""
    return await call.services.db.read(domains.by_number, call.caller.principal, values["DomainID"])


def domain_id(unknown: int, missing: int = 1, invalid: int | None = None) -> Parameter:
    """DomainID; what is no number is unknown, but where the contract numbers it otherwise."""
    return Parameter("DomainID", NUMBER, missing, unknown if invalid is None else invalid)


COMMANDS = (
    Command(
        "addDomain", "EmailGateway.AddDomain", "Register a sender domain", WRITE, add_domain,
        (Parameter("DomainName", TEXT, 1, 2), Parameter("Subdomain", SUBDOMAIN, invalid=4)),
        codes={
            1: Code("Missing required parameter: DomainName"),
            2: Code("Invalid domain name provided"),
            3: Code("User has reached the maximum number of sender domains allowed"),
            4: Code("Invalid Subdomain"),
        },
        refusals={Invalid: 2, Conflict: 2, PlanLimitReached: 3},
    ),
    Command(
        "getDomain", "EmailGateway.GetDomain", "One sender domain", READ, get_domain, (domain_id(2),),
        Form.NUMBER_AND_MESSAGE,
        {
            1: Code("Required parameter missing: DomainID"),
            2: Code("Unable to retrieve domain information"),
        },
        {NotFound: 2},
    ),
    Command("getDomains", "EmailGateway.GetDomains", "The user's sender domains", READ, get_domains),
    Command(
        "updateDomain", "EmailGateway.UpdateDomain",
        "Change tracking, unsubscribe link, hosting provider or subdomain", WRITE, update_domain,
        (
            domain_id(5),
            Parameter("LinkTracking", SWITCH),
            Parameter("OpenTracking", SWITCH),
            Parameter("UnsubscribeLink", SWITCH),
            Parameter("HostingProvider", PROVIDER),
            Parameter("Subdomain", SUBDOMAIN, invalid=6),
        ),
        Form.NUMBER_AND_MESSAGE,
        {
            1: Code("Required field 'DomainID' is missing."),
            5: Code("Unable to retrieve sender domain information."),
            6: Code("Invalid Subdomain"),
        },
        {NotFound: 5, Invalid: 6},
    ),
    Command(
        "verifyDomain", "EmailGateway.VerifyDomain", "Check the domain's DNS records now", WRITE,
        verify_domain, (domain_id(2),), Form.NUMBER_AND_MESSAGE,
        {
            1: Code("Required field 'DomainID' is missing."),
            2: Code("Unable to retrieve the sender domain information."),
        },
        {NotFound: 2},
    ),
    Command(
        "deleteDomain", "EmailGateway.DeleteDomain", "Delete a sender domain", WRITE, delete_domain,
        (domain_id(2),), Form.NUMBER_AND_MESSAGE,
        {
            1: Code("Missing required parameter: DomainID"),
            2: Code("Domain not found or user does not have permission to delete the domain"),
        },
        {NotFound: 2},
    ),
    Command(
        "clearDomainQueue", "EmailGateway.ClearDomainQueue", "Mark a domain's pending emails as failed",
        QUEUE, clear_queue, (domain_id(2),),
        codes={
            1: Code("Missing required parameter: DomainID"),
            2: Code("Unable to retrieve sender domain"),
        },
        refusals={NotFound: 2},
    ),
)  # fmt: skip


def _switches(values: Values) -> Switches:
    """What a command sets, in the engine's words."""
    given: Any = {_SWITCHES[name]: value for name, value in values.items() if name in _SWITCHES}
    if given.get("return_path_label") == "":
        given["return_path_label"] = RETURN_PATH_LABEL
    switches: Switches = given
    return switches


async def _shown(call: Call, domain: Domain, number: int | None = None) -> dict[str, Any]:
    its_keys = await call.services.db.read(domains.keys_of, call.caller.principal, domain.id)
    return _domain(call, domain, its_keys, number)


def _domain(
    call: Call, domain: Domain, its_keys: Sequence[DkimKey], number: int | None = None
) -> dict[str, Any]:
    """The union of the contract's commands (rule 12); DomainID as text but where `number` is given."""
    on = _tracking(domain, call.caller.organization.settings)
    records = {record.name: [record.type, record.value] for record in _records(call, domain, its_keys)}
    return {
        "DomainID": str(domain.number) if number is None else number,
        "DomainName": domain.name,
        "SenderDomain": domain.name,
        "VerificationStatus": VERIFICATION_STATUSES[domain.status],
        "DKIMStatus": _record_status(domain, found=domain.dkim_ok),
        "SPFStatus": _record_status(domain, found=domain.spf_ok),
        "Status": DOMAIN_STATUSES[domain.status],
        "IsActive": domain.is_verified,
        "Active": domain.is_verified,
        "Verified": domain.is_verified,
        **{name: "1" if is_on else "0" for name, is_on in on.items()},
        "HostingProvider": domain.hosting_provider or "",
        "Subdomain": domain.return_path_label,
        "CreatedAt": shown_time(domain.created_at),
        "VerificationMeta": {"DNSRecords": records},
        "PolicyMeta": [],
        "Options": {name: int(is_on) for name, is_on in on.items()},
    }


def _tracking(domain: Domain, settings: Settings) -> dict[str, bool]:
    """What mail of this domain gets, unless it says otherwise itself."""
    own = domain.tracking_enabled
    is_tracked = settings.tracking_enabled if own is None else own
    values = {name: getattr(domain, _SWITCHES[name]) for name in ("LinkTracking", "OpenTracking")}
    inherited = {
        "LinkTracking": settings.click_tracking_enabled,
        "OpenTracking": settings.open_tracking_enabled,
    }
    on = {name: is_tracked and (inherited[name] if own is None else own) for name, own in values.items()}
    unsubscribe = domain.unsubscribe_header_enabled
    on["UnsubscribeLink"] = settings.unsubscribe_header_enabled if unsubscribe is None else unsubscribe
    return on


def _record_status(domain: Domain, *, found: bool) -> str:
    if found:
        return VERIFIED
    return PENDING if domain.checked_at is None else MISSING_RECORD_STATUSES[domain.status]


def _records(call: Call, domain: Domain, its_keys: Sequence[DkimKey]) -> list[DnsRecord]:
    return domains.records(domain, its_keys, call.services.hostname)


def shown_time(at_ms: int) -> str:
    """YYYY-MM-DD HH:MM:SS, in UTC."""
    return clock.to_datetime(at_ms).strftime("%Y-%m-%d %H:%M:%S")
