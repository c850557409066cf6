"""How a contact looks here, in a request and in an answer. The engine's properties are custom_fields."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    model_validator,
)

from postrider.engine.audience import tags
from postrider.engine.audience.contacts.rules import AGENT_MAX_CHARS, IP_MAX_CHARS, TEXT_MAX_CHARS
from postrider.engine.audience.model import Consent, Contact, ContactFilter, ContactInput
from postrider.kit import clock
from postrider.surfaces.common.fields import OneLine, check_finite, fault
from postrider.surfaces.penguinmails.answers import time, time_or_none
from postrider.surfaces.penguinmails.ids import CONTACT, to_id
from postrider.surfaces.penguinmails.limits import IMPORT_MAX
from postrider.surfaces.penguinmails.paging import Page
from postrider.surfaces.penguinmails.vocabulary import GIVEN_STAGES, STAGES
from postrider.surfaces.penguinmails.wire import Address, Body, SearchedAddress, word_of

CUSTOM, PROPERTIES = "custom_fields", "properties"
FLAGS = ("email_marketing", "sms_marketing", "tracking", "third_party_sharing")
_TEXTS = ("first_name", "last_name", "name", "company")
_NOTHING = Consent()


def _tags(given: list[str]) -> list[str]:
    try:
        return tags.check_names(given)
    except ValueError as bad:
        raise fault(str(bad)) from None


def _custom(given: dict[str, Any]) -> dict[str, Any]:
    check_finite(given)
    return given


def _moment(given: Any) -> int:
    try:
        at = clock.from_iso(given if isinstance(given, str) else "")
        clock.to_datetime(at)  # one that can be shown again
    except (ValueError, OverflowError):
        raise fault("Input should be an ISO 8601 date and time") from None
    return at


def _part(text: str) -> str:
    if "\0" in text:
        raise fault("NUL is not allowed")
    return text


def _many(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in _part(text).split(",") if name.strip())


Text = Annotated[OneLine, StringConstraints(max_length=TEXT_MAX_CHARS)]
Tags = Annotated[list[str], AfterValidator(_tags)]
Custom = Annotated[dict[str, Any], AfterValidator(_custom)]
Moment = Annotated[int, PlainValidator(_moment, json_schema_input_type=str)]
StageWord = Annotated[str, word_of(GIVEN_STAGES)]


class ConsentFields(Body):
    """What is said of consent; what is not there stays, and is shown as false where nothing was ever said."""

    email_marketing: bool | None = None
    sms_marketing: bool | None = None
    tracking: bool | None = None
    third_party_sharing: bool | None = None
    date_given: Moment | None = None
    ip_address: Annotated[OneLine, Field(max_length=IP_MAX_CHARS)] | None = None
    user_agent: Annotated[OneLine, Field(max_length=AGENT_MAX_CHARS)] | None = None

    def over(self, known: Consent | None) -> Consent:
        """As it is after this was said; without a date, what changes a flag was said now."""
        before = known or _NOTHING
        said = self.model_dump(exclude_none=True)
        given_at = said.pop("date_given", None)
        after = replace(before, **said)
        is_other = any(getattr(after, flag) != getattr(before, flag) for flag in FLAGS)
        if given_at is None:
            given_at = clock.now_ms() if is_other or before.given_at is None else before.given_at
        return replace(after, given_at=given_at)


class ContactFields(Body):
    """What may be said of a contact; what is not there stays."""

    first_name: Text | None = None
    last_name: Text | None = None
    name: Annotated[OneLine, StringConstraints(max_length=2 * TEXT_MAX_CHARS)] | None = None
    company: Text | None = None
    tags: Tags | None = None
    custom_fields: Custom | None = None
    consent: ConsentFields | None = None
    lifecycle_stage: StageWord | None = None

    def said(self, email: str, known: Consent | None) -> ContactInput:
        """The engine's input, over the consent that is known."""
        texts: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        return ContactInput(
            email=email,
            properties=self.custom_fields,
            tags=self.tags,
            consent=None if self.consent is None else self.consent.over(known),
            stage=None if self.lifecycle_stage is None else GIVEN_STAGES[self.lifecycle_stage],
            **texts,
        )


class NewContact(ContactFields):
    email: Address

    def new(self) -> ContactInput:
        """Addresses are kept in lower case here."""
        return self.said(self.email.address.lower(), None)


class ContactChanges(ContactFields):
    """The tags are all it has afterwards; the rest is merged."""

    email: Address | None = None

    def changed(self, known: Contact) -> ContactInput:
        email = known.email if self.email is None else self.email.address.lower()
        return replace(self.said(email, known.consent), replaces_tags=True)


class BulkImport(Body):
    """Contacts are read one by one, so that one's faults are its own; the array may stand alone."""

    contacts: list[Any] = Field(min_length=1, max_length=IMPORT_MAX)
    update_existing: bool = True

    @model_validator(mode="before")
    @classmethod
    def _array_alone(cls, value: Any) -> Any:
        return {"contacts": value} if isinstance(value, list) else value


class ContactQuery(Page):
    """Which contacts are listed; all that is given must hold."""

    tags: Annotated[tuple[str, ...], BeforeValidator(_many)] = ()
    email: SearchedAddress | None = None
    search: Annotated[str, AfterValidator(_part)] | None = None
    lifecycle_stage: StageWord | None = None
    sort: Literal["created_at", "updated_at", "email", "engagement_score"] = "created_at"

    def filter(self) -> ContactFilter:
        return ContactFilter(
            tags=self.tags,
            emails=() if self.email is None else (self.email,),
            search=self.search,
            stage=tuple(stage for stage, word in STAGES.items() if word == self.lifecycle_stage),
        )


def contact(known: Contact) -> dict[str, Any]:
    consent = known.consent or _NOTHING
    return {
        "id": to_id(CONTACT, known.id),
        "email": known.email,
        "first_name": known.first_name,
        "last_name": known.last_name,
        "company": known.company,
        "tags": list(known.tags),
        CUSTOM: dict(known.properties),
        "consent": {
            **{flag: getattr(consent, flag) is True for flag in FLAGS},
            "date_given": time(known.created_at if consent.given_at is None else consent.given_at),
            "ip_address": consent.ip_address,
            "user_agent": consent.user_agent,
        },
        "created_at": time(known.created_at),
        "updated_at": time(known.updated_at),
        "last_activity": time_or_none(known.last_activity_at),
        "engagement_score": known.score,
        "lifecycle_stage": STAGES[known.stage],
    }


def field_of(field: str) -> str:
    """The name of an engine's field here."""
    noun, dot, rest = field.partition(".")
    return f"{CUSTOM}{dot}{rest}" if noun == PROPERTIES else field
