"""How a contact looks here, in a request and in an answer. The engine's properties are custom_properties."""

from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from postrider.engine.audience.model import Contact, ContactInput
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.errors import renaming
from postrider.surfaces.common.fields import Address, Wire
from postrider.surfaces.mailerlogic.limits import IMPORT_MAX
from postrider.surfaces.mailerlogic.vocabulary import CONTACT_STATUSES, GIVEN_STATUSES

T = TypeVar("T")
PROPERTIES = "custom_properties"
_TEXTS = ("first_name", "last_name", "name", "company", "phone", "city", "country", "source")


def _tags(value: Any) -> Any:
    """A list, or names between commas."""
    return [name for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Tags = Annotated[list[str], BeforeValidator(_tags)]
StatusWord = Literal["subscribed", "active", "unsubscribed", "bounced", "complained"]


class ContactFields(Wire):
    """What may be said of a contact."""

    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None
    company: str | None = None
    phone: str | None = None
    city: str | None = None
    country: str | None = None
    status: StatusWord | None = None
    source: str | None = None
    custom_properties: dict[str, Any] | None = None

    def said(self, email: str, tags: list[str] | None = None) -> ContactInput:
        """The engine's input; a text that is null is emptied."""
        texts: dict[str, Any] = {
            name: getattr(self, name) or "" for name in _TEXTS if name in self.model_fields_set
        }
        return ContactInput(
            email=email,
            status=None if self.status is None else GIVEN_STATUSES[self.status],
            properties=self.custom_properties,
            tags=tags,
            **texts,
        )


class NewContact(ContactFields):
    email: Address
    tags: Tags | None = None

    def new(self) -> ContactInput:
        return self.said(self.email.address, self.tags)


class ContactChanges(ContactFields):
    """What is not there stays."""

    email: Address | None = None


class ContactImport(Wire):
    """Contacts are read one by one, so that one's faults are its own."""

    contacts: list[Any] = Field(min_length=1, max_length=IMPORT_MAX)
    on_conflict: Literal["skip", "update"] = "skip"


def contact(known: Contact) -> dict[str, Any]:
    return {
        "id": to_uuid(known.id),
        "email": known.email,
        "first_name": known.first_name,
        "last_name": known.last_name,
        "name": known.name,
        "phone": known.phone,
        "company": known.company,
        "city": known.city,
        "country": known.country,
        "status": CONTACT_STATUSES[known.status],
        "source": known.source,
        "tags": list(known.tags),
        PROPERTIES: dict(known.properties),
        "engagement_score": known.score,
        "emails_sent": known.sent,
        "emails_opened": known.opened,
        "emails_clicked": known.clicked,
        "emails_bounced": known.bounced,
        "last_activity_at": known.last_activity_at and clock.to_iso(known.last_activity_at),
        "created_at": clock.to_iso(known.created_at),
        "updated_at": clock.to_iso(known.updated_at),
    }


async def saying(doing: Awaitable[T]) -> T:
    """What an engine call answers; the fields it refuses are named as they are called here."""
    return await renaming(doing, field_of)


def field_of(field: str) -> str:
    """The name of an engine's field here."""
    noun, dot, rest = field.partition(".")
    return f"{PROPERTIES}{dot}{rest}" if noun == "properties" else field
