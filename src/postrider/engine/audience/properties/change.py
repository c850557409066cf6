"""Changing and removing groups and definitions of properties. What contacts have stays as it was written."""

from dataclasses import fields, replace
from typing import Any, TypedDict, Unpack

from postrider.db.database import Tx
from postrider.engine.audience.model import PropertyType
from postrider.engine.audience.properties import store
from postrider.engine.audience.properties.define import WRITE, check_group, checked
from postrider.engine.audience.properties.model import (
    GROUPS_MAX,
    Definition,
    NewDefinition,
    NewGroup,
    PropertyGroup,
)
from postrider.engine.errors import Conflict, NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

GROUP, DEFINITION = "property group", "property definition"


class GroupChanges(TypedDict, total=False):
    """What is not there stays; a label of None is the name."""

    name: str
    label: str | None
    description: str | None
    display_order: int


class DefinitionChanges(TypedDict, total=False):
    """What is not there stays; None empties. A name never changes: contacts have their values under it."""

    label: str | None
    type: PropertyType
    group_id: RowId | None
    options: list[Any]
    is_required: bool
    is_visible: bool
    default_value: Any
    rules: dict[str, Any]
    help_text: str | None
    placeholder: str | None
    display_order: int


def change_group(
    tx: Tx, principal: Principal, group_id: RowId, **changes: Unpack[GroupChanges]
) -> PropertyGroup:
    """Raises NotFound, Invalid with all faults, Conflict where another group has the name."""
    principal.require(WRITE)
    there = store.groups(tx, principal.organization_id, limit=GROUPS_MAX)
    was = next((each for each in there if each.id == group_id), None)
    if was is None:
        raise NotFound(noun=GROUP)
    new = replace(NewGroup(**_said(was, NewGroup)), **changes)
    check_group(new)
    if any(each.name == new.name for each in there if each is not was):
        raise Conflict(noun=GROUP)
    now = replace(was, **{**_said(new, NewGroup), "label": new.label or new.name})
    store.change_group(tx, now)
    return now


def remove_group(tx: Tx, principal: Principal, group_id: RowId) -> None:
    """Its definitions stay, in no group. Raises NotFound."""
    principal.require(WRITE)
    if not store.remove_group(tx, principal.organization_id, group_id):
        raise NotFound(noun=GROUP)


def change_definition(
    tx: Tx, principal: Principal, definition_id: RowId, **changes: Unpack[DefinitionChanges]
) -> Definition:
    """Values written from now on are checked by it, those there stay; the whole must make sense.

    So another type may ask for other rules in the same call. Raises NotFound, Invalid with all faults.
    """
    principal.require(WRITE)
    was = _definition(tx, principal, definition_id)
    new = replace(NewDefinition(**_said(was, NewDefinition)), **changes)
    now = replace(checked(tx, principal.organization_id, new), id=was.id, created_at=was.created_at)
    store.change_definition(tx, now)
    return _definition(tx, principal, definition_id)


def remove_definition(tx: Tx, principal: Principal, definition_id: RowId) -> None:
    """The values that contacts have stay, as those of a property that nobody defined. Raises NotFound."""
    principal.require(WRITE)
    if not store.remove_definition(tx, principal.organization_id, definition_id):
        raise NotFound(noun=DEFINITION)


def _definition(tx: Tx, principal: Principal, definition_id: RowId) -> Definition:
    found = store.definitions(tx, principal.organization_id, definition_id=definition_id, limit=1)
    if not found:
        raise NotFound(noun=DEFINITION)
    return found[0]


def _said(of: Any, as_: type) -> dict[str, Any]:
    """Of a record, what `as_` has fields for."""
    return {field.name: getattr(of, field.name) for field in fields(as_)}
