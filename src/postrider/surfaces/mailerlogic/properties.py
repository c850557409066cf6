"""Properties of contacts: groups, definitions, keys in use, one contact's values, search by a value."""

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from postrider.engine.audience import contacts, properties
from postrider.engine.audience.model import Contact, ContactFilter, ContactInput, PropertyType
from postrider.engine.audience.properties import Definition, NewDefinition, NewGroup, Operator, PropertyGroup
from postrider.kit import clock
from postrider.kit.ids import RowId, to_uuid
from postrider.surfaces.common.fields import OneLine, Wire, fault
from postrider.surfaces.common.operations import Call, Operation, answer
from postrider.surfaces.mailerlogic import contact_wire
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.limits import PAGE_LIMIT, PAGE_LIMIT_MAX
from postrider.surfaces.mailerlogic.query import Uuid, read_query

READ, WRITE = "contacts:read", "contacts:write"
_WRAPPER = "custom_properties"
Type = Literal[
    "text", "textarea", "number", "date", "datetime", "boolean", "select", "multi_select", "url", "email",
    "phone", "json",
]  # fmt: skip
Sign = Literal["=", "!=", ">", ">=", "<", "<=", "exists", "contains"]


class GroupBody(Wire):
    name: OneLine
    label: OneLine | None = None
    description: str | None = None
    display_order: int = 0

    def new(self) -> NewGroup:
        return NewGroup(**self.model_dump())


class DefinitionBody(Wire):
    name: OneLine
    type: Type
    label: OneLine | None = None
    group_id: Uuid | None = None
    options: list[Any] = Field(default_factory=list)
    is_required: bool = False
    is_visible: bool = True
    default_value: Any = None
    validation_rules: dict[str, Any] = Field(default_factory=dict)
    help_text: str | None = None
    placeholder: str | None = None
    display_order: int = 0

    def new(self) -> NewDefinition:
        said = self.model_dump(exclude={"type", "validation_rules"})
        return NewDefinition(type=PropertyType(self.type), rules=self.validation_rules, **said)


class Values(Wire):
    """The wrapper, or the properties themselves."""

    custom_properties: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, value: Any) -> Any:
        if isinstance(value, dict) and value and _WRAPPER not in value:
            return {_WRAPPER: value}
        return value


class SearchBody(Wire):
    property: str
    operator: Sign = "="
    value: Any = None
    page: int = Field(1, ge=1)
    limit: int = Field(PAGE_LIMIT, ge=1, le=PAGE_LIMIT_MAX)

    @model_validator(mode="after")
    def _some_value(self) -> Self:
        if self.value is None and self.operator != "exists":
            raise fault("value is required")
        return self


class DefinitionQuery(BaseModel):
    group_id: Uuid | None = None


async def list_groups(call: Call) -> Response:
    found = await call.services.db.read(properties.list_groups, call.caller.principal)
    return answer({"groups": [_group(group) for group in found]})


async def create_group(call: Call, body: GroupBody) -> Response:
    made = await call.services.db.write_first(properties.create_group, call.caller.principal, body.new())
    return answer({"message": "Property group created", "group": _group(made)}, 201)


async def list_definitions(call: Call) -> Response:
    query = read_query(call.request, DefinitionQuery)
    principal = call.caller.principal
    found = await call.services.db.read(properties.list_definitions, principal, group_id=query.group_id)
    return answer({"definitions": [_definition(definition) for definition in found]})


async def create_definition(call: Call, body: DefinitionBody) -> Response:
    made = await call.services.db.write_first(properties.create_definition, call.caller.principal, body.new())
    return answer({"message": "Property definition created", "definition": _definition(made)}, 201)


async def list_keys(call: Call) -> Response:
    principal = call.caller.principal

    def read(tx: Any) -> list[properties.PropertyKey]:
        return properties.keys(tx, principal, of=contacts.count(tx, principal, ContactFilter()).count)

    found = await call.services.db.read(read)
    return answer(
        {
            "keys": [
                {"key": key.name, "usage_count": key.contacts, "percentage": round(100 * key.share, 1)}
                for key in found
            ]
        }
    )


async def get_values(call: Call) -> Response:
    contact_id = _contact_id(call)
    contact = await call.services.db.read(contacts.get, call.caller.principal, contact_id)
    return answer({"contact_id": to_uuid(contact.id), _WRAPPER: contact.properties})


async def update_values(call: Call, body: Values) -> Response:
    """Adds and overwrites; a null takes its key away, the others stay."""
    principal, contact_id = call.caller.principal, _contact_id(call)

    def write(tx: Any) -> Contact:
        known = contacts.get(tx, principal, contact_id)
        said = ContactInput(email=known.email, properties=body.custom_properties)
        contacts.change(tx, principal, contact_id, said)
        return contacts.get(tx, principal, contact_id)

    contact = await contact_wire.saying(call.services.db.write_first(write))
    return answer({"message": "Properties updated", _WRAPPER: contact.properties})


async def search(call: Call, body: SearchBody) -> Response:
    principal, operator = call.caller.principal, Operator(body.operator)
    offset = (body.page - 1) * body.limit

    def read(tx: Any) -> tuple[list[Contact], int]:
        ids, total = properties.search(
            tx, principal, body.property, operator, body.value, limit=body.limit, offset=offset
        )
        known = contacts.many(tx, principal.organization_id, ids)
        return [known[contact_id] for contact_id in ids if contact_id in known], total

    found, total = await call.services.db.read(read)
    pages = -(-total // body.limit)
    pagination = {"page": body.page, "limit": body.limit, "total": total, "pages": pages}
    return answer({"contacts": [contact_wire.contact(each) for each in found], "pagination": pagination})


_GROUPS, _DEFINITIONS = "/api/v1/contacts/property-groups", "/api/v1/contacts/property-definitions"
_KEYS, _VALUES = "/api/v1/contacts/custom-properties/keys", "/api/v1/contacts/{id}/custom-properties"
_SEARCH = "/api/v1/contacts/search-by-property"
OPERATIONS = (
    Operation("listPropertyGroups", "GET", (_GROUPS,), "Property groups", READ, list_groups),
    Operation(
        "createPropertyGroup", "POST", (_GROUPS,), "Create a property group", WRITE,
        create_group, body=GroupBody, status=201,
    ),
    Operation(
        "listPropertyDefinitions", "GET", (_DEFINITIONS,), "Property definitions", READ, list_definitions
    ),
    Operation(
        "createPropertyDefinition", "POST", (_DEFINITIONS,), "Define a property", WRITE,
        create_definition, body=DefinitionBody, status=201,
    ),
    Operation("discoverPropertyKeys", "GET", (_KEYS,), "Property keys in use", READ, list_keys),
    Operation("getContactProperties", "GET", (_VALUES,), "A contact's properties", READ, get_values),
    Operation(
        "updateContactProperties", "PUT", (_VALUES,), "Merge a contact's properties", WRITE,
        update_values, body=Values,
    ),
    Operation(
        "searchByProperty", "POST", (_SEARCH,), "Contacts by a property's value", READ,
        search, body=SearchBody,
    ),
)  # fmt: skip


def _contact_id(call: Call) -> RowId:
    return path_id(call.request.path_params["id"], "contact")


def _group(group: PropertyGroup) -> dict[str, Any]:
    return {
        "id": to_uuid(group.id),
        "name": group.name,
        "label": group.label,
        "description": group.description,
        "display_order": group.display_order,
        "property_count": group.definitions,
        "created_at": clock.to_iso(group.created_at),
    }


def _definition(definition: Definition) -> dict[str, Any]:
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
        "usage_count": definition.contacts,
        "created_at": clock.to_iso(definition.created_at),
    }
