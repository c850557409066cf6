"""Properties of contacts: their definitions and groups, kept, changed and removed."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from postrider.engine.audience import properties
from postrider.engine.audience.model import PropertyType
from postrider.engine.audience.properties import Definition, NewDefinition, NewGroup, PropertyGroup
from postrider.kit.ids import RowId, from_uuid, to_uuid
from postrider.surfaces.common.fields import OneLine, Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.console import wire

READ, WRITE = "contacts:read", "contacts:write"


def _group_id(value: Any) -> Any:
    row_id = from_uuid(value) if isinstance(value, str) else None
    if row_id is None:
        raise fault("Input should be a UUID")
    return row_id


def _type(value: Any) -> Any:
    try:
        return PropertyType(value)
    except ValueError:
        raise fault(f"Input should be one of {', '.join(PropertyType)}") from None


GroupId = Annotated[bytes, BeforeValidator(_group_id)]
Type = Annotated[PropertyType, BeforeValidator(_type)]


class Whole(Wire):
    """A field that there is not is refused: a name that cannot be changed would look as if it were."""

    model_config = ConfigDict(extra="forbid")


class ChangedGroup(Whole):
    """What is left out stays."""

    name: OneLine = ""
    label: OneLine | None = None
    description: str | None = None
    display_order: int = 0


class CreatedGroup(ChangedGroup):
    name: OneLine


class ChangedProperty(Whole):
    """What is left out stays; the name cannot be changed, since contacts have their values under it."""

    type: Type = PropertyType.TEXT
    label: OneLine | None = None
    group_id: GroupId | None = None
    options: list[Any] = Field(default_factory=list)
    is_required: bool = False
    is_visible: bool = True
    default_value: Any = None
    validation_rules: dict[str, Any] = Field(default_factory=dict)
    help_text: str | None = None
    placeholder: str | None = None
    display_order: int = 0

    def said(self) -> dict[str, Any]:
        """As the engine names it."""
        told = {name: getattr(self, name) for name in self.model_fields_set}
        if "validation_rules" in told:
            told["rules"] = told.pop("validation_rules")
        return told


class DefinedProperty(ChangedProperty):
    name: OneLine
    type: Type


async def list_properties(call: Call) -> Response:
    """All, in display order; `group_id` narrows."""
    query = call.request.query_params
    wire.known_only(query, frozenset({"group_id"}))
    group_id = wire.row_id_of(query, "group_id")
    principal = call.caller.principal
    found = await call.services.db.read(properties.list_definitions, principal, group_id=group_id)
    return answer({"properties": [_property(each) for each in found]})


async def define_property(call: Call, new: DefinedProperty) -> Response:
    definition = NewDefinition(**new.said())
    made = await call.services.db.write_first(properties.create_definition, call.caller.principal, definition)
    return answer({"property": _property(made)}, 201)


async def change_property(call: Call, changed: ChangedProperty) -> Response:
    property_id, said = _id(call, "property"), changed.said()
    kept = await call.services.db.write_first(
        lambda tx: properties.change_definition(tx, call.caller.principal, property_id, **said)
    )
    return answer({"property": _property(kept)})


async def remove_property(call: Call) -> Response:
    """Its definition alone: the values stay."""
    property_id = _id(call, "property")
    await call.services.db.write_first(properties.remove_definition, call.caller.principal, property_id)
    return answer({"removed": {"id": to_uuid(property_id)}})


async def list_groups(call: Call) -> Response:
    wire.known_only(call.request.query_params, frozenset())
    found = await call.services.db.read(properties.list_groups, call.caller.principal)
    return answer({"property_groups": [_group(each) for each in found]})


async def create_group(call: Call, new: CreatedGroup) -> Response:
    group = NewGroup(**new.model_dump())
    made = await call.services.db.write_first(properties.create_group, call.caller.principal, group)
    return answer({"property_group": _group(made)}, 201)


async def change_group(call: Call, changed: ChangedGroup) -> Response:
    group_id, said = _id(call, "property group"), changed.model_dump(exclude_unset=True)
    kept = await call.services.db.write_first(
        lambda tx: properties.change_group(tx, call.caller.principal, group_id, **said)
    )
    return answer({"property_group": _group(kept)})


async def remove_group(call: Call) -> Response:
    """The group alone: its properties stay, in none."""
    group_id = _id(call, "property group")
    await call.services.db.write_first(properties.remove_group, call.caller.principal, group_id)
    return answer({"removed": {"id": to_uuid(group_id)}})


_ALL, _ONE = "/v1/properties", "/v1/properties/{id}"
_GROUPS, _GROUP = "/v1/property-groups", "/v1/property-groups/{id}"
OPERATIONS: tuple[Operation, ...] = (
    Operation("listProperties", "GET", (_ALL,), "defined properties of contacts", READ, list_properties),
    Operation(
        "defineProperty", "POST", (_ALL,), "say what values a property may have", WRITE, define_property,
        body=DefinedProperty, status=201,
    ),
    Operation(
        "changeProperty", "PATCH", (_ONE,), "define it otherwise", WRITE, change_property,
        body=ChangedProperty,
    ),
    Operation("removeProperty", "DELETE", (_ONE,), "define it no longer", WRITE, remove_property),
    Operation("listPropertyGroups", "GET", (_GROUPS,), "groups of properties", READ, list_groups),
    Operation(
        "createPropertyGroup", "POST", (_GROUPS,), "make a group", WRITE, create_group,
        body=CreatedGroup, status=201,
    ),
    Operation(
        "changePropertyGroup", "PATCH", (_GROUP,), "call or place it otherwise", WRITE, change_group,
        body=ChangedGroup,
    ),
    Operation("removePropertyGroup", "DELETE", (_GROUP,), "remove a group", WRITE, remove_group),
)  # fmt: skip


def _id(call: Call, noun: str) -> RowId:
    return wire.path_id(call.request.path_params["id"], noun)


def _group(group: PropertyGroup) -> dict[str, Any]:
    return {
        "id": to_uuid(group.id),
        "name": group.name,
        "label": group.label,
        "description": group.description,
        "display_order": group.display_order,
        "properties": group.definitions,
        "created_at": wire.time(group.created_at),
    }


def _property(definition: Definition) -> dict[str, Any]:
    return {
        "id": to_uuid(definition.id),
        "name": definition.name,
        "label": definition.label,
        "type": definition.type.value,
        "group_id": definition.group_id and to_uuid(definition.group_id),
        "options": definition.options,
        "is_required": definition.is_required,
        "is_visible": definition.is_visible,
        "default_value": definition.default_value,
        "validation_rules": definition.rules,
        "help_text": definition.help_text,
        "placeholder": definition.placeholder,
        "display_order": definition.display_order,
        "contacts": definition.contacts,
        "created_at": wire.time(definition.created_at),
        "updated_at": wire.time(definition.updated_at),
    }
