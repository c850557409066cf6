"""An HTTP surface as a table of operations: from it come routes, the order of checks, the edge of errors.

Each request is authenticated, its scope required, its body read within a limit and parsed; then its handler
runs. Whatever happens becomes an answer in the surface's words; what nobody expected is logged, bodiless.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.engine.accounts.authenticate import Caller
from postrider.engine.errors import EngineError
from postrider.kit import json
from postrider.surfaces.common.body import SMALL_BODY_MAX_BYTES, read_body
from postrider.surfaces.common.errors import Refused, invalid_body, refuse_nul
from postrider.surfaces.common.services import Services, Unavailable

INLINE_MAX_BYTES = 128 * 1024  # larger bodies are worked on in a thread: the loop serves others meanwhile
RETRY_AFTER_S = 2

P = ParamSpec("P")
T = TypeVar("T")
Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[..., Awaitable[Response]]  # (call) or, where the operation has a body, (call, body)
Endpoint = Callable[[Request], Awaitable[Response]]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a contract: `paths` are the canonical one and its aliases."""

    id: str
    method: str
    paths: tuple[str, ...]
    summary: str
    scope: str | None  # None: open to everybody, no credential is asked and the handler gets a Visit
    handler: Handler
    body: type[BaseModel] | None = None
    body_max_bytes: int = SMALL_BODY_MAX_BYTES
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request on its way to the handler of an open operation."""

    services: Services
    request: Request
    operation: Operation
    raw: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Visit):
    """One authenticated request on its way to a handler."""

    caller: Caller


def _nothing(response: Response, request: Request, caller: Caller | None) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Manner:
    """How one surface asks who is there and words its answers.

    `finish` sees every answer, refusals and unknown paths too; its caller is None where nobody was known.
    """

    name: str
    title: str
    version: str  # of the API, as its documents number it
    authenticate: Callable[[Services, Request], Awaitable[Caller]]
    refuse: Callable[[EngineError | Refused, Request], Response]
    fail: Callable[[int, Request], Response]  # 404, 405, 408, 500, 503: no operation's refusal
    finish: Callable[[Response, Request, Caller | None], None] = _nothing  # rate limits, request id
    security: dict[str, dict[str, str]] = field(default_factory=dict)  # OpenAPI's securitySchemes


def make_app(
    services: Services, manner: Manner, operations: Sequence[Operation], extra: Sequence[BaseRoute] = ()
) -> Starlette:
    """Every path of every operation; unknown paths and methods are answered in the surface's manner too."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in operations:
        endpoint = _endpoint(operation, services, manner)
        for path in operation.paths:
            assert operation.method not in by_path.setdefault(path, {}), f"{operation.method} {path} twice"
            by_path[path][operation.method] = endpoint
    routes: list[BaseRoute] = [
        Route(path, _by_method(endpoints), methods=list(endpoints)) for path, endpoints in by_path.items()
    ]

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = manner.fail(error.status_code, request)
        response.headers.update(error.headers or {})
        manner.finish(response, request, None)
        return response

    app = Starlette(routes=[*routes, *extra], exception_handlers={HTTPException: on_http_error})
    app.router.redirect_slashes = False
    return app


def parse(model: type[Body], raw: bytes) -> Body:
    """A JSON body as its model; raises Invalid with all its faults."""
    try:
        body = model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid_body(error) from None
    refuse_nul(raw)
    return body


async def sized(size_bytes: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work whose length goes with a body's size: here where it is short, else in a thread."""
    if size_bytes <= INLINE_MAX_BYTES:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


def answer(payload: Any, status: int = 200) -> Response:
    return Response(json.dump_bytes(payload), status, media_type="application/json")


def _endpoint(operation: Operation, services: Services, manner: Manner) -> Endpoint:
    async def run(request: Request, caller: Caller | None) -> Response:
        if caller is not None and operation.scope is not None:
            caller.principal.require(operation.scope)
        raw = await read_body(request, operation.body_max_bytes) if operation.body is not None else b""
        visit = (
            Visit(services=services, request=request, operation=operation, raw=raw)
            if caller is None
            else Call(services=services, request=request, operation=operation, raw=raw, caller=caller)
        )
        if operation.body is None:
            return await operation.handler(visit)
        body = await sized(len(raw), parse, operation.body, raw)
        return await operation.handler(visit, body)

    async def endpoint(request: Request) -> Response:
        caller: Caller | None = None
        try:
            if operation.scope is not None:
                caller = await manner.authenticate(services, request)
            response = await run(request, caller)
        except (EngineError, Refused) as refusal:
            response = manner.refuse(refusal, request)
        except Unavailable:
            response = manner.fail(503, request)
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        except TimeoutError:
            response = manner.fail(408, request)
        except ClientDisconnect:
            return Response(status_code=400)  # to nobody
        except Exception:
            _log.exception("request_failed", surface=manner.name, operation=operation.id)
            response = manner.fail(500, request)
        manner.finish(response, request, caller)
        return response

    return endpoint


def _by_method(endpoints: dict[str, Endpoint]) -> Endpoint:
    if len(endpoints) == 1:
        return next(iter(endpoints.values()))

    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint
