"""OpenAPI 3.1 and a plain page of docs, both drawn from the table of operations; neither loads anything."""

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from postrider.surfaces.common.operations import Manner, Operation, answer

_PARAMETER = re.compile(r"\{(\w+)\}")
_MODELS = "#/components/schemas/{model}"
_PAGE_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td{{padding:.3rem 1rem .3rem 0;vertical-align:top}}code{{font-size:.9em}}</style>
<h1>{title}</h1><p>Every operation, also as <a href="openapi.json">OpenAPI</a>.</p>
<table>{rows}</table></html>"""


def docs_routes(manner: Manner, operations: Sequence[Operation]) -> list[Route]:
    """/openapi.json and /docs; the description's server is the prefix under which it was asked for."""

    @cache  # drawn when first asked for: it takes as long as the rest of a start
    def described() -> dict[str, Any]:
        return describe(manner, operations)

    async def openapi(request: Request) -> Response:
        return answer({**described(), "servers": [{"url": request.scope.get("root_path") or "/"}]})

    async def docs(request: Request) -> Response:
        return HTMLResponse(_page(manner, operations), headers=_PAGE_POLICY)

    return [Route("/openapi.json", openapi), Route("/docs", docs)]


def describe(manner: Manner, operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document; an alias is an operation of its own there, marked as deprecated."""
    models: list[type[BaseModel]] = [operation.body for operation in operations if operation.body is not None]
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_MODELS)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        for number, path in enumerate(operation.paths):
            paths.setdefault(path, {})[operation.method.lower()] = _described(operation, path, number)
    return {
        "openapi": "3.1.0",
        "info": {"title": manner.title, "version": manner.version},
        "paths": paths,
        "components": {"schemas": schemas.get("$defs", {}), "securitySchemes": manner.security},
        "security": [{name: []} for name in manner.security],
    }


def _described(operation: Operation, path: str, alias: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.id}Alias{alias}" if alias else operation.id,
        "summary": operation.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in _PARAMETER.findall(path)
        ],
        "responses": {
            str(operation.status): _json_response("Done"),
            "default": _json_response("Refused: see error and message"),
        },
    }
    if alias:
        described["deprecated"] = True
    if operation.body is not None:
        schema = {"$ref": _MODELS.format(model=operation.body.__name__)}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _json_response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


def _page(manner: Manner, operations: Sequence[Operation]) -> str:
    rows = "".join(
        f"<tr><td><code>{operation.method}</code><td><code>{html.escape(operation.paths[0])}</code>"
        f"<td>{html.escape(operation.summary)}"
        for operation in operations
    )
    return _PAGE.format(title=html.escape(manner.title), rows=rows)
