"""Goals and what is told of them: conversions, and revenue. All amounts here are US dollars."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator
from starlette.responses import Response

from postrider.engine.errors import NotFound
from postrider.engine.insight import conversions
from postrider.engine.insight.conversions import Goal, NewConversion
from postrider.engine.insight.conversions.goals import NAME_MAX_CHARS
from postrider.engine.insight.conversions.record import ORDER_ID_MAX_CHARS
from postrider.kit.ids import RowId
from postrider.kit.money import InvalidAmount, parse_amount, units
from postrider.surfaces.common.fields import OneLine, fault
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.penguinmails.answers import CURRENCY, done, listed, money, time
from postrider.surfaces.penguinmails.ids import (
    ANALYTICS_EVENT,
    CAMPAIGN,
    CONTACT,
    GOAL,
    from_id,
    path_id,
    to_id,
)
from postrider.surfaces.penguinmails.paging import Page, read_query
from postrider.surfaces.penguinmails.wire import Address, Body

READ, WRITE = "campaigns:read", "campaigns:write"
SIGN = "$"


def _amount(value: Any) -> int:
    try:
        return parse_amount(value, sign=SIGN)
    except InvalidAmount as error:
        raise fault(str(error)) from None


Amount = Annotated[int, PlainValidator(_amount, json_schema_input_type=str | float)]
OrderId = Annotated[OneLine, Field(min_length=1, max_length=ORDER_ID_MAX_CHARS)]


class NewGoal(Body):
    name: Annotated[OneLine, Field(min_length=1, max_length=NAME_MAX_CHARS)]
    value: Amount | None = None
    campaign_id: str | None = None


class ToldConversion(Body):
    """What is absent is taken from the goal, or found out."""

    campaign_id: str | None = None
    contact_id: str | None = None
    email: Address | None = None
    value: Amount | None = None
    order_id: OrderId | None = None


class ToldRevenue(Body):
    campaign_id: str
    amount: Amount
    contact_id: str | None = None
    order_id: OrderId | None = None


async def create_goal(call: Call, new: NewGoal) -> Response:
    principal, campaign_id = call.caller.principal, _named(CAMPAIGN, new.campaign_id, "campaign")
    made = await call.services.db.write_first(
        lambda tx: conversions.create_goal(
            tx, principal, new.name, value_mils=new.value, currency=CURRENCY, campaign_id=campaign_id
        )
    )
    return done(_goal(made), 201)


async def list_goals(call: Call) -> Response:
    query, principal = read_query(call.request, Page), call.caller.principal
    found, total = await call.services.db.read(
        lambda tx: conversions.list_goals(tx, principal, limit=query.per_page, offset=query.offset)
    )
    return listed([_goal(each) for each in found], query, total)


async def record_conversion(call: Call, told: ToldConversion) -> Response:
    """A repeat of an order_id answers what was recorded first."""
    goal_id = path_id(GOAL, call.request.path_params["goal_id"], "goal")
    new = NewConversion(
        amount_mils=told.value,
        contact_id=_named(CONTACT, told.contact_id, "contact"),
        email=told.email.address if told.email else None,
        campaign_id=_named(CAMPAIGN, told.campaign_id, "campaign"),
        order_id=told.order_id,
    )
    recorded = await call.services.db.write_first(
        conversions.record_conversion, call.caller.principal, goal_id, new
    )
    its = recorded.conversion
    return done(
        {
            "conversion_id": to_id(ANALYTICS_EVENT, its.id),
            "goal_id": to_id(GOAL, goal_id),
            "campaign_id": its.campaign_id and to_id(CAMPAIGN, its.campaign_id),
            "contact_id": its.contact_id and to_id(CONTACT, its.contact_id),
            "value": money(units(its.amount_mils)),
            "recorded_at": time(its.created_at),
        },
        201,
    )


async def record_revenue(call: Call, told: ToldRevenue) -> Response:
    """As record_conversion; `total` is all that the campaign has brought."""
    new = NewConversion(
        amount_mils=told.amount,
        currency=CURRENCY,
        contact_id=_named(CONTACT, told.contact_id, "contact"),
        campaign_id=_named(CAMPAIGN, told.campaign_id, "campaign"),
        order_id=told.order_id,
    )
    recorded = await call.services.db.write_first(conversions.record_order, call.caller.principal, new)
    its = recorded.conversion
    return done(
        {
            "revenue_id": to_id(ANALYTICS_EVENT, its.id),
            "campaign_id": its.campaign_id and to_id(CAMPAIGN, its.campaign_id),
            "amount": money(units(its.amount_mils)),
            "total": money(units(recorded.total_mils)),
            "recorded_at": time(its.created_at),
        },
        201,
    )


_GOALS = "/api/v1/analytics/goals"
OPERATIONS = (
    Operation(
        "createGoal", "POST", (_GOALS,), "Define a conversion goal", WRITE, create_goal, body=NewGoal,
        status=201,
    ),
    Operation("listGoals", "GET", (_GOALS,), "List goals", READ, list_goals),
    Operation(
        "recordConversion", "POST", (f"{_GOALS}/{{goal_id}}/conversions",), "Record a conversion", WRITE,
        record_conversion, body=ToldConversion, status=201,
    ),
    Operation(
        "recordRevenue", "POST", ("/api/v1/analytics/revenue",), "Record revenue for a campaign", WRITE,
        record_revenue, body=ToldRevenue, status=201,
    ),
)  # fmt: skip


def _goal(goal: Goal) -> dict[str, Any]:
    return {
        "id": to_id(GOAL, goal.id),
        "name": goal.name,
        "value": None if goal.value_mils is None else money(units(goal.value_mils)),
        "campaign_id": goal.campaign_id and to_id(CAMPAIGN, goal.campaign_id),
        "conversions": goal.conversions,
        "created_at": time(goal.created_at),
    }


def _named(prefix: str, text: str | None, noun: str) -> RowId | None:
    """The row that an id in a body names; what is no id names nothing: NotFound."""
    if text is None:
        return None
    row_id = from_id(prefix, text)
    if row_id is None:
        raise NotFound(noun=noun)
    return row_id
