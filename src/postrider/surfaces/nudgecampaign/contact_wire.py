"""What may be said of a contact, and how what the engine refuses in it is told."""

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints
from pydantic_core import PydanticCustomError

from postrider.engine.audience import tags
from postrider.engine.audience.contacts.rules import TEXT_MAX_CHARS
from postrider.engine.audience.contacts.subscribe import FEEDBACK_MAX_CHARS
from postrider.engine.audience.model import ContactInput, Status
from postrider.engine.errors import Conflict, Invalid, NotFound
from postrider.kit.ids import RowId
from postrider.surfaces.common.errors import faults_of
from postrider.surfaces.common.fields import BAD_ADDRESS, OneLine, check_finite, fault
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id
from postrider.surfaces.nudgecampaign.wire import Body, Email, MayBeEmpty

T = TypeVar("T")
CUSTOM, PROPERTIES = "custom_fields", "properties"
NO_LIST = "There is no such list"
_CODES = {
    "invalid": "invalid_value",
    "required": "required",
    "unknown": "not_found",
    "duplicate": "duplicate",
}


def _tags(given: list[str]) -> list[str]:
    try:
        return tags.check_names(given)
    except ValueError as bad:
        raise fault(str(bad)) from None


def _list(given: Any) -> RowId:
    if not isinstance(given, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    try:
        return path_id(Noun.LIST, given)
    except NotFound:
        raise PydanticCustomError("not_found", NO_LIST) from None


def _custom(given: dict[str, Any]) -> dict[str, Any]:
    check_finite(given)
    return given


Name = Annotated[OneLine, StringConstraints(max_length=TEXT_MAX_CHARS)]
Tags = Annotated[list[str], AfterValidator(_tags)]
ListId = Annotated[bytes, PlainValidator(_list, json_schema_input_type=str)]
Custom = Annotated[dict[str, Any], AfterValidator(_custom)]
Said = Annotated[str, StringConstraints(max_length=FEEDBACK_MAX_CHARS)]


class ContactChanges(Body):
    """What of a contact is to change: arrays replace, custom_fields merge and a null in them removes a key.

    A name that is null is emptied. Nothing sets a status but to subscribe and to unsubscribe.
    """

    email: Email = Field(default_factory=str)
    first_name: Name | None = None
    last_name: Name | None = None
    tags: Tags = Field(default_factory=list)
    custom_fields: Custom = Field(default_factory=dict)
    lists: list[ListId] = Field(default_factory=list)

    def said(self, email: str) -> ContactInput:
        """The engine's input, for the contact of this address where the body names none."""
        said = self.model_fields_set
        names: dict[str, Any] = {
            name: getattr(self, name) or "" for name in ("first_name", "last_name") if name in said
        }
        return ContactInput(
            email=self.email or email,
            properties=self.custom_fields if CUSTOM in said else None,
            tags=self.tags if "tags" in said else None,
            lists=self.lists if "lists" in said else None,
            replaces_tags=True,
            replaces_lists=True,
            **names,
        )


class NewContact(Body):
    """A contact as it is made; null is as if it were not there."""

    email: Email
    first_name: Name | None = None
    last_name: Name | None = None
    tags: Tags | None = None
    custom_fields: Custom | None = None
    lists: list[ListId] | None = None
    double_opt_in: bool | None = None

    def new(self) -> ContactInput:
        return ContactInput(
            email=self.email,
            first_name=self.first_name,
            last_name=self.last_name,
            properties=self.custom_fields,
            tags=self.tags,
            lists=self.lists,
            status=Status.PENDING if self.double_opt_in else None,
        )


class Wish(MayBeEmpty):
    """Why somebody subscribes or unsubscribes; a request without a body gives no reason."""

    reason: Said | None = None
    feedback: Said | None = None
    suppress_notification: bool | None = None


async def saying(doing: Awaitable[T]) -> T:
    """What an engine call answers; what it refuses of a contact is told by the names of this dialect."""
    try:
        return await doing
    except Invalid as error:
        codes = [each.get("code", "invalid") for each in error.facts.get("faults", [error.facts])]
        raise Faulty(
            422,
            [
                Detail(shown_field(each.field), each.message, _code(each.message, code))
                for each, code in zip(faults_of(error), codes, strict=True)
            ],
        ) from None
    except Conflict as error:
        raise Conflict(**error.facts, field="email") from None


def engine_field(name: str) -> str:
    """custom_fields here are properties there."""
    return PROPERTIES + name.removeprefix(CUSTOM) if f"{name}.".startswith(f"{CUSTOM}.") else name


def shown_field(name: str) -> str:
    is_property = f"{name}.".startswith(f"{PROPERTIES}.")
    return CUSTOM + name.removeprefix(PROPERTIES) if is_property else name


def _code(message: str, code: str) -> str:
    return "invalid_format" if message == BAD_ADDRESS else _CODES[code]
