"""Groups and definitions of properties: making them and listing them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from postrider.db.database import Tx
from postrider.engine.audience.model import PropertyType
from postrider.engine.audience.properties import store
from postrider.engine.audience.properties.check import BAD_KEY, check_value, is_key
from postrider.engine.audience.properties.kinds import (
    RULES,
    BadValue,
    is_number,
    option_values,
    read,
    read_pattern,
)
from postrider.engine.audience.properties.model import (
    DEFINITIONS_MAX,
    GROUPS_MAX,
    OPTIONS_MAX,
    VALUE_MAX_CHARS,
    Definition,
    Definitions,
    NewDefinition,
    NewGroup,
    PropertyGroup,
    Rule,
)
from postrider.engine.errors import Conflict, Invalid
from postrider.engine.principal import Principal
from postrider.kit import clock, ids
from postrider.kit.ids import RowId

READ, WRITE = "contacts:read", "contacts:write"
LABEL_MAX_CHARS = 200
DESCRIPTION_MAX_CHARS = 1_000
ORDER_MAX = 1_000_000
_CHOOSING = (PropertyType.SELECT, PropertyType.MULTI_SELECT)


def definitions_of(tx: Tx, organization_id: int) -> Definitions:
    """What `check` needs, in two statements."""
    found = store.checked(tx, organization_id, limit=DEFINITIONS_MAX)
    return Definitions({each.name: each for each in found}, store.key_names(tx, organization_id))


def list_groups(tx: Tx, principal: Principal) -> list[PropertyGroup]:
    """In display order; there are at most GROUPS_MAX."""
    principal.require(READ)
    return store.groups(tx, principal.organization_id, limit=GROUPS_MAX)


def create_group(tx: Tx, principal: Principal, new: NewGroup) -> PropertyGroup:
    """Raises Invalid, and Conflict where the name is taken."""
    principal.require(WRITE)
    check_group(new)
    if store.count_groups(tx, principal.organization_id) >= GROUPS_MAX:
        raise Invalid(field="name", message=f"An account has at most {GROUPS_MAX} property groups")
    group = PropertyGroup(
        principal.organization_id,
        ids.new_id(),
        new.name,
        new.label or new.name,
        new.description,
        new.display_order,
        clock.now_ms(),
    )
    if not store.insert_group(tx, group):
        raise Conflict(noun="property group")
    return group


def list_definitions(tx: Tx, principal: Principal, *, group_id: RowId | None = None) -> list[Definition]:
    """In display order, all or those of a group, with how many contacts have a value."""
    principal.require(READ)
    return store.definitions(tx, principal.organization_id, group_id=group_id, limit=DEFINITIONS_MAX)


def create_definition(tx: Tx, principal: Principal, new: NewDefinition) -> Definition:
    """Values written from now on are checked by it; those there stay. Raises Invalid, Conflict."""
    principal.require(WRITE)
    organization_id = principal.organization_id
    definition = checked(tx, organization_id, new)
    if store.count_definitions(tx, organization_id) >= DEFINITIONS_MAX:
        raise Invalid(field="name", message=f"An account has at most {DEFINITIONS_MAX} defined properties")
    if not store.insert_definition(tx, definition):
        raise Conflict(noun="property definition")
    return next(each for each in store.definitions(tx, organization_id, name=new.name, limit=1))


def check_group(new: NewGroup) -> None:
    """Raises Invalid with all that is wrong with a group."""
    _check_all(
        lambda: _check_name(new.name),
        lambda: _check_text("label", new.label, LABEL_MAX_CHARS),
        lambda: _check_text("description", new.description, DESCRIPTION_MAX_CHARS),
        lambda: _check_order(new.display_order),
    )


def checked(tx: Tx, organization_id: int, new: NewDefinition) -> Definition:
    """The definition as it is kept, newly made; raises Invalid with all that is wrong with it."""
    definition = _plain(organization_id, new)
    rules: dict[str, Any] = {}

    def check_rule(name: str, limit: Any) -> None:
        rules[name] = _rule(definition, name, limit)

    _check_all(
        lambda: _check_name(new.name),
        lambda: _check_text("label", new.label, LABEL_MAX_CHARS),
        lambda: _check_text("help_text", new.help_text, DESCRIPTION_MAX_CHARS),
        lambda: _check_text("placeholder", new.placeholder, LABEL_MAX_CHARS),
        lambda: _check_order(new.display_order),
        lambda: _check_options(definition),
        *[partial(check_rule, name, limit) for name, limit in new.rules.items()],
        lambda: _check_there(tx, organization_id, new.group_id),
    )
    definition = replace(definition, rules=rules)
    return replace(definition, default_value=_default(definition, new.default_value))


def _plain(organization_id: int, new: NewDefinition) -> Definition:
    now = clock.now_ms()
    return Definition(
        organization_id=organization_id,
        id=ids.new_id(),
        name=new.name,
        label=new.label or new.name,
        type=new.type,
        group_id=new.group_id,
        options=list(new.options),
        is_required=new.is_required,
        is_visible=new.is_visible,
        default_value=None,
        rules=dict(new.rules),
        help_text=new.help_text,
        placeholder=new.placeholder,
        display_order=new.display_order,
        created_at=now,
        updated_at=now,
    )


def _check_all(*checks: Callable[[], None]) -> None:
    """Raises one Invalid with what each of them raises."""
    faults = []
    for check in checks:
        try:
            check()
        except Invalid as refused:
            faults.append(refused.facts)
    if faults:
        raise Invalid(**faults[0], faults=faults)


def _check_name(name: str) -> None:
    if not is_key(name):
        raise Invalid(field="name", message=BAD_KEY)


def _check_text(field: str, text: str | None, limit: int) -> None:
    if text is not None and (len(text) > limit or "\x00" in text):
        raise Invalid(field=field, message=f"At most {limit} characters, none of them NUL")


def _check_there(tx: Tx, organization_id: int, group_id: RowId | None) -> None:
    if group_id is not None and not store.hold_group(tx, organization_id, group_id):
        raise Invalid(field="group_id", message="There is no such property group")


def _check_order(display_order: int) -> None:
    if not 0 <= display_order <= ORDER_MAX:
        raise Invalid(field="display_order", message=f"Should be from 0 to {ORDER_MAX}")


def _check_options(definition: Definition) -> None:
    if definition.type not in _CHOOSING:
        if definition.options:
            raise Invalid(field="options", message=f"A property of type {definition.type} has no options")
        return
    if not 1 <= len(definition.options) <= OPTIONS_MAX:
        raise Invalid(field="options", message=f"There should be 1 to {OPTIONS_MAX} options")
    values: list[Any] = [
        option.get("value") if isinstance(option, Mapping) else option for option in definition.options
    ]
    if not all(isinstance(value, str) and is_key(value) for value in values):
        message = "An option is a text of 1 to 100 printable characters, or an object with such a value"
        raise Invalid(field="options", message=message)
    if len(set(option_values(definition))) < len(values):
        raise Invalid(field="options", message="There should be no option twice")
    try:
        for option in definition.options:
            check_value(option)
    except BadValue as bad:
        raise Invalid(field="options", message=f"An option {bad}") from None


def _rule(definition: Definition, name: str, limit: Any) -> Any:
    """A rule's limit as values are compared with it; raises Invalid."""
    field = f"validation_rules.{name}"
    allowed = RULES[definition.type]
    if name not in list(allowed):
        shown = ", ".join(allowed) or "no rules"
        raise Invalid(field=field, message=f"A property of type {definition.type} takes {shown}")
    try:
        match Rule(name):
            case Rule.MIN | Rule.MAX:
                if definition.type is PropertyType.NUMBER and not is_number(limit):
                    raise BadValue("should be a number")
                return read(replace(definition, rules={}), limit)
            case Rule.MIN_LENGTH | Rule.MAX_LENGTH:
                if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= VALUE_MAX_CHARS:
                    raise BadValue(f"should be a whole number from 0 to {VALUE_MAX_CHARS}")
                return limit
            case Rule.PATTERN:
                return read_pattern(limit)
    except BadValue as bad:
        raise Invalid(field=field, message=f"It {bad}") from None


def _default(definition: Definition, value: Any) -> Any:
    if value is None:
        return None
    try:
        check_value(value)
        return read(definition, value)
    except BadValue as bad:
        raise Invalid(field="default_value", message=f"It {bad}") from None
