"""Conversions: what contacts brought, credited to the campaign that is named or that reached them last."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints
from starlette.responses import Response

from postrider.engine.errors import Conflict, NotFound
from postrider.engine.insight import conversions
from postrider.engine.insight.conversions import Conversion, NewConversion
from postrider.engine.insight.conversions.record import METADATA_MAX_BYTES, ORDER_ID_MAX_CHARS
from postrider.kit.ids import RowId
from postrider.kit.money import InvalidAmount, parse_amount, parse_currency, units
from postrider.surfaces.common.fields import OneLine, fault, metadata_within
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.nudgecampaign import frame
from postrider.surfaces.nudgecampaign.errors import Detail, Faulty
from postrider.surfaces.nudgecampaign.ids import Noun, path_id, show
from postrider.surfaces.nudgecampaign.resources import Resource, View, shown_at
from postrider.surfaces.nudgecampaign.wire import Body, Email, Moment

WRITE, ENGINE_WRITE = "conversions:write", "campaigns:write"


def _amount(value: Any) -> int:
    if isinstance(value, str):
        raise fault("Input should be a number")
    try:
        return parse_amount(value)
    except InvalidAmount as error:
        raise fault(str(error)) from None


def _currency(text: str) -> str:
    try:
        return parse_currency(text)
    except InvalidAmount as error:
        raise fault(str(error)) from None


class ToldConversion(Body):
    """What was earned, from whom; `contact_id` wins over `email`."""

    amount: Annotated[int, PlainValidator(_amount, json_schema_input_type=float)]
    contact_id: str | None = None
    email: Email | None = None
    campaign_id: str | None = None
    currency: Annotated[str, AfterValidator(_currency)] | None = None
    order_id: Annotated[OneLine, StringConstraints(min_length=1, max_length=ORDER_ID_MAX_CHARS)] | None = None
    occurred_at: Moment | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(metadata_within(METADATA_MAX_BYTES))] | None = Field(
        None
    )


CONVERSION: Resource[Conversion] = Resource(
    type="conversion",
    noun=Noun.CONVERSION,
    row_id=lambda row: row.id,
    attributes={
        "contact_id": lambda row: row.contact_id and show(Noun.CONTACT, row.contact_id),
        "campaign_id": lambda row: row.campaign_id and show(Noun.CAMPAIGN, row.campaign_id),
        "amount": lambda row: float(units(row.amount_mils)),
        "currency": lambda row: row.currency,
        "order_id": lambda row: row.order_id,
        "attribution": lambda row: row.attribution.name.lower(),
        "metadata": lambda row: row.metadata,
        "occurred_at": lambda row: shown_at(row.occurred_at),
        "created_at": lambda row: shown_at(row.created_at),
        "updated_at": lambda row: shown_at(row.created_at),
    },
)


async def record_conversion(call: Call, told: ToldConversion) -> Response:
    """An order that was told before is a 409: it counts once."""
    contact_id = _named(Noun.CONTACT, told.contact_id, "contact_id")
    if contact_id is None and told.email is None:
        raise Faulty(422, [Detail("contact_id", "contact_id or email is required", "required")])
    new = NewConversion(
        amount_mils=told.amount,
        currency=told.currency,
        contact_id=contact_id,
        email=told.email,
        campaign_id=_named(Noun.CAMPAIGN, told.campaign_id, "campaign_id"),
        order_id=told.order_id,
        occurred_at=told.occurred_at,
        metadata=told.metadata,
        needs_contact=True,
    )
    writer = replace(call.caller.principal, scopes=frozenset({ENGINE_WRITE}))
    try:
        recorded = await call.services.db.write_first(conversions.record_order, writer, new)
    except NotFound as error:
        noun = error.facts["noun"]
        field = "email" if noun == "contact" and contact_id is None else f"{noun}_id"
        raise Faulty(422, [Detail(field, error.sentence, "not_found")]) from None
    if not recorded.is_new:
        raise Conflict(noun="order", field="order_id")
    return frame.one(CONVERSION, recorded.conversion, View(), status=201)


def _named(noun: Noun, text: str | None, field: str) -> RowId | None:
    """The row that an id in a body names; one that names nothing is a fault of the body."""
    if text is None:
        return None
    try:
        return path_id(noun, text)
    except NotFound as error:
        raise Faulty(422, [Detail(field, error.sentence, "not_found")]) from None


OPERATIONS = (
    Operation(
        "recordConversion", "POST", ("/v2/conversions",), "Revenue earned from a contact", WRITE,
        record_conversion, body=ToldConversion, status=201,
    ),
)  # fmt: skip
