"""A path of /api/v1 that is one command of a sender domain's key: recognised, counted, told in numbers."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from postrider.engine.errors import EngineError, NotFound, TokenExpired, Unauthenticated
from postrider.surfaces.common.operations import Call, Visit
from postrider.surfaces.octeth.auth import SENDER_KEY, key_in_head, sender_caller
from postrider.surfaces.octeth.command import Command
from postrider.surfaces.octeth.errors import USER_ERRORS, Code, Faulty, Form, Numbers, Said, documented
from postrider.surfaces.octeth.limits import count_for
from postrider.surfaces.octeth.parameters import read_parameters
from postrider.surfaces.octeth.vocabulary import ACCOUNT_ERRORS

BAD_KEY = 13
SENDER_ERRORS: Numbers = {
    **USER_ERRORS,
    Unauthenticated: Said(401, BAD_KEY),
    TokenExpired: Said(401, BAD_KEY),
    NotFound: Said(404, 2),
}
BAD_KEY_CODE = Code("Invalid SenderAPIKey", 401)
RATE_CODE = Code("Too many requests. Wait for {retry_after_s} seconds for another {attempts} attempts.", 429)


def served_to_sender(
    command: Command, *, no_key: int, no_account: int
) -> Callable[[Visit], Awaitable[Response]]:
    """The handler; `no_key` and `no_account` number that there is no key, and an account that may nothing."""
    assert command.scope is not None

    async def serve(visit: Visit) -> Response:
        try:
            key, parameters = key_in_head(visit.request), await read_parameters(visit.request)
            key = key or parameters.text(SENDER_KEY)
            if not key:
                raise Faulty(Form.ERRORS, [documented(no_key, command.codes)])
            caller = await sender_caller(visit.services, visit.request, key)
            count_for(visit.request, caller)
            caller.principal.require(command.scope or "")
            if ACCOUNT_ERRORS[caller.organization.status] is not None:
                raise Faulty(Form.ERRORS, [documented(no_account, command.codes)])
            call = Call(
                services=visit.services, request=visit.request, operation=visit.operation, caller=caller
            )
            return command.done(await command.handler(call, command.read(parameters)))
        except EngineError as error:
            raise command.refuse(error) from None

    return serve
