"""Properties of contacts: free ones and defined ones, checked, indexed in their values' order, searched."""

from postrider.engine.audience.properties.change import (
    change_definition,
    change_group,
    remove_definition,
    remove_group,
)
from postrider.engine.audience.properties.check import check, check_value, is_key, is_within
from postrider.engine.audience.properties.compare import is_same
from postrider.engine.audience.properties.define import (
    create_definition,
    create_group,
    definitions_of,
    list_definitions,
    list_groups,
)
from postrider.engine.audience.properties.encode import encode
from postrider.engine.audience.properties.find import keys, search
from postrider.engine.audience.properties.model import (
    ALL_MAX_BYTES,
    ITEMS_MAX,
    KEY_MAX_CHARS,
    KEYS_MAX,
    VALUE_MAX_CHARS,
    Definition,
    Definitions,
    NewDefinition,
    NewGroup,
    Operator,
    PropertyGroup,
    PropertyKey,
    Rule,
)
from postrider.engine.audience.properties.write import write_values

__all__ = [
    "ALL_MAX_BYTES",
    "ITEMS_MAX",
    "KEYS_MAX",
    "KEY_MAX_CHARS",
    "VALUE_MAX_CHARS",
    "Definition",
    "Definitions",
    "NewDefinition",
    "NewGroup",
    "Operator",
    "PropertyGroup",
    "PropertyKey",
    "Rule",
    "change_definition",
    "change_group",
    "check",
    "check_value",
    "create_definition",
    "create_group",
    "definitions_of",
    "encode",
    "is_key",
    "is_same",
    "is_within",
    "keys",
    "list_definitions",
    "list_groups",
    "remove_definition",
    "remove_group",
    "search",
    "write_values",
]
