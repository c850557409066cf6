"""API keys: made with some of the maker's scopes, listed by their first characters, revoked at once."""

from starlette.responses import Response

from postrider.engine import accounts
from postrider.engine.accounts import Credential
from postrider.engine.errors import Forbidden
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.auth import LABEL
from postrider.surfaces.nudgecampaign.ids import Noun, path_id
from postrider.surfaces.nudgecampaign.keys import make_key
from postrider.surfaces.nudgecampaign.query import read_query
from postrider.surfaces.nudgecampaign.resources import Resource, Sort, View, shown_at
from postrider.surfaces.nudgecampaign.vocabulary import KEEPERS, engine_scopes, scope_words
from postrider.surfaces.nudgecampaign.wire import NewApiKey

READ, WRITE = "credentials:read", "credentials:write"
API_KEY: Resource[Credential] = Resource(
    type="api_key",
    noun=Noun.API_KEY,
    row_id=lambda key: key.id,
    attributes={
        "name": lambda key: key.name,
        "scopes": lambda key: scope_words(key.scopes),
        "created_at": lambda key: shown_at(key.created_at),
        "expires_at": lambda key: shown_at(key.expires_at),
        "key_prefix": lambda key: key.hint,
        "last_used_at": lambda key: shown_at(key.last_used_at),
    },
    sorts={"created_at": Sort(int, lambda key: key.created_at), "name": Sort(str, lambda key: key.name)},
    order="created_at",
    is_flat=True,
)
_MADE = View(fields={API_KEY.type: frozenset({"name", "scopes", "created_at", "expires_at"})})


async def list_keys(call: Call) -> Response:
    _require_keeper(call)
    query = read_query(call.request, API_KEY)
    keys = await call.services.db.read(accounts.list_keys, call.caller.principal, LABEL)
    return frame.many(call.request, query, query.cut(keys))


async def create_key(call: Call, new: NewApiKey) -> Response:
    """The key itself is told here and never again."""
    services, principal, secret = call.services, call.caller.principal, make_key()
    made = await services.db.write_first(
        lambda tx: accounts.create_key(
            tx,
            principal,
            label=LABEL,
            name=new.name,
            secret=secret,
            sealer=services.sealer,
            scopes=engine_scopes(new.scopes),
            expires_at=new.expires_at,
        )
    )
    return answer({"data": {**API_KEY.shown(made, _MADE), "key": secret}}, 201)


async def revoke_key(call: Call) -> Response:
    key_id = path_id(Noun.API_KEY, call.request.path_params["key_id"])
    await call.services.db.write_first(accounts.delete_key, call.caller.principal, LABEL, key_id)
    call.services.keyring.forget()
    return frame.nothing()


_ALL = ("/v2/organization/api-keys",)
_ONE = ("/v2/organization/api-keys/{key_id}",)
OPERATIONS = (
    Operation("listApiKeys", "GET", _ALL, "API keys, without their secrets", READ, list_keys),
    Operation(
        "createApiKey", "POST", _ALL, "A new API key, told once", WRITE, create_key,
        body=NewApiKey, status=201,
    ),
    Operation("revokeApiKey", "DELETE", _ONE, "Revoke an API key", WRITE, revoke_key, status=204),
)  # fmt: skip


def _require_keeper(call: Call) -> None:
    """People are shown the keys if they keep them (contract: listApiKeys.auth); a key has no role."""
    if call.caller.role is not None and call.caller.role not in KEEPERS:
        raise Forbidden(scope=READ)
