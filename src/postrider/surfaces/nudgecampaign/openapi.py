"""The description of this API as OpenAPI 3.0, in JSON and in YAML: of every operation, these two among them.

Schemas are written in the words of 3.1; what 3.0 says otherwise is translated, for generators of clients.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from postrider.surfaces.common.openapi import describe
from postrider.surfaces.common.operations import Manner, Operation, Visit, answer
from postrider.surfaces.nudgecampaign import yaml
from postrider.surfaces.nudgecampaign.query import parameters_of
from postrider.surfaces.nudgecampaign.resources import Resource

BASE = "/v2"
OPENAPI = "3.0.0"
YAML_TYPE = "application/yaml"


def operations(document: Callable[[], dict[str, Any]]) -> tuple[Operation, ...]:
    """The two that hand the document out; it describes them too, so it is asked for when they are called."""

    def served(request: Request) -> dict[str, Any]:
        return {**document(), "servers": [{"url": request.scope.get("root_path", "") + BASE}]}

    async def as_json(visit: Visit) -> Response:
        return answer(served(visit.request))

    async def as_yaml(visit: Visit) -> Response:
        return Response(yaml.dump_bytes(served(visit.request)), media_type=YAML_TYPE)

    return (
        Operation("getOpenapiJson", "GET", (f"{BASE}/openapi.json",), "This document", None, as_json),
        Operation("getOpenapiYaml", "GET", (f"{BASE}/openapi.yaml",), "This document as YAML", None, as_yaml),
    )


def describe_v3_0(
    manner: Manner, operations: Sequence[Operation], lists: Mapping[str, Resource[Any]]
) -> dict[str, Any]:
    """The document without its server: paths are relative to that, so without the version.

    `lists` has what each list, by its operation's id, is a list of.
    """
    described = _translated(describe(manner, operations))
    by_id = {operation.id: operation for operation in operations}
    for item in described["paths"].values():
        for entry in item.values():
            operation = by_id[entry["operationId"]]
            if operation.scope is None:
                entry["security"] = []
            if operation.status == 204:
                del entry["responses"]["204"]["content"]
            if (resource := lists.get(operation.id)) is not None:
                entry["parameters"] += [_parameter(name) for name in parameters_of(resource)]
    paths = {path.removeprefix(BASE): item for path, item in described["paths"].items()}
    return {**described, "openapi": OPENAPI, "paths": paths}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}


def _translated(value: Any) -> Any:
    """3.1 to 3.0: no type null, no const."""
    match value:
        case {"anyOf": [schema, {"type": "null"}], **rest}:
            one = {"allOf": [schema]} if "$ref" in schema else schema
            return _translated({**rest, **one, "nullable": True})
        case {"const": only, **rest}:
            return _translated({**rest, "enum": [only]})
        case dict():
            return {name: _translated(item) for name, item in value.items()}
        case list():
            return [_translated(item) for item in value]
        case _:
            return value
