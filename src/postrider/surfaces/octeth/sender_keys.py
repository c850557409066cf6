"""API keys of sender domains: made, listed, deleted. A key is told once, when it is made; lists mask it."""

from typing import Any

from postrider.engine import accounts
from postrider.engine.accounts import Credential
from postrider.engine.errors import Invalid, NotFound
from postrider.surfaces.common.operations import Call
from postrider.surfaces.octeth.command import Command, Parameter, Payload, Values
from postrider.surfaces.octeth.domains import domain_id, found_domain, shown_time
from postrider.surfaces.octeth.errors import Code, Form
from postrider.surfaces.octeth.keys import SENDER_LABEL, SENDER_SCOPES, sender_key
from postrider.surfaces.octeth.parameters import NOTE, NUMBER

READ, WRITE = "credentials:read", "credentials:write"
MASK = "********"


async def add_api(call: Call, values: Values) -> Payload:
    services = call.services
    domain = await found_domain(call, values)
    secret = sender_key()
    made = await services.db.write_first(
        lambda tx: accounts.create_key(
            tx,
            call.caller.principal,
            label=SENDER_LABEL,
            name=values["Description"],
            secret=secret,
            sealer=services.sealer,
            scopes=SENDER_SCOPES,
            domain_id=domain.id,
        )
    )
    shown = {**_shown(call, made, domain.number), "Key": secret, "APIKey": secret}
    return {"NewAPIKeyID": str(made.number), "APIKey": shown}


async def get_apis(call: Call, values: Values) -> Payload:
    domain = await found_domain(call, values)
    found = await call.services.db.read(
        lambda tx: accounts.list_keys(tx, call.caller.principal, SENDER_LABEL, domain_id=domain.id)
    )
    return {"APIKeys": [_shown(call, key, domain.number) for key in found]}


async def delete_api(call: Call, values: Values) -> Payload:
    await delete_key(call, SENDER_LABEL, values["ApiKeyId"])
    return {}


async def delete_key(call: Call, label: str, number: int) -> None:
    """Delete a key by its number; it dies at once. Raises NotFound."""
    principal = call.caller.principal

    def delete(tx: Any) -> None:
        accounts.delete_key(tx, principal, label, accounts.key_by_number(tx, principal, label, number).id)

    await call.services.db.write_first(delete)
    call.services.keyring.forget()


COMMANDS = (
    Command(
        "addApi", "EmailGateway.AddAPI", "Create an API key for one sender domain", WRITE, add_api,
        (Parameter("Description", NOTE, 1, 1), domain_id(3, missing=2, invalid=2)),
        codes={
            1: Code("Missing or invalid 'Description' parameter"),
            2: Code("Missing or invalid 'DomainID' parameter"),
            3: Code("Unable to retrieve sender domain with provided 'DomainID'"),
        },
        refusals={Invalid: 1, NotFound: 3},
    ),
    Command(
        "getApis", "EmailGateway.GetAPIs", "The API keys of a sender domain", READ, get_apis, (domain_id(2),),
        codes={
            1: Code("Missing required parameter: DomainID"),
            2: Code("Unable to retrieve sender domain"),
        },
        refusals={NotFound: 2},
    ),
    Command(
        "deleteApi", "EmailGateway.DeleteAPI", "Delete a sender domain's API key", WRITE, delete_api,
        (Parameter("ApiKeyId", NUMBER, 1, 2),), Form.NUMBER_AND_MESSAGE,
        {
            1: Code("Missing required parameter: ApiKeyId"),
            2: Code("Invalid API key or API key not found"),
        },
        {NotFound: 2},
    ),
)  # fmt: skip


def masked(hint: str) -> str:
    """A key as lists show it: what it begins with; the rest is kept by nobody."""
    return hint + MASK


def _shown(call: Call, key: Credential, domain_number: int) -> dict[str, Any]:
    number, made = str(key.number), shown_time(key.created_at)
    return {
        "KeyID": number,
        "APIKeyID": number,
        "DomainID": str(domain_number),
        "UserID": str(call.caller.principal.organization_id),
        "Key": masked(key.hint),
        "APIKey": masked(key.hint),
        "Permissions": ",".join(SENDER_SCOPES),
        "Description": key.name,
        "CreationDate": made,
        "CreatedAt": made,
        "LastUsedDate": None if key.last_used_at is None else shown_time(key.last_used_at),
        "Status": "Enabled",
        "Options": [],
    }
