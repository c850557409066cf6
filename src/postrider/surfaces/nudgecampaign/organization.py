"""The caller's organization and the people in it, as far as the engine knows them.

What it has no source for yet is null, never a made-up value; the contract's notes list it.
"""

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from postrider.engine import accounts, domains
from postrider.engine.accounts import PLANS, Member, Organization
from postrider.engine.audience import contacts
from postrider.engine.principal import Principal
from postrider.engine.sending import campaigns
from postrider.kit import clock
from postrider.surfaces.common.operations import Call, Operation
from postrider.surfaces.nudgecampaign import frame, vocabulary
from postrider.surfaces.nudgecampaign.ids import Noun
from postrider.surfaces.nudgecampaign.query import read_query, read_view
from postrider.surfaces.nudgecampaign.resources import Resource, Sort, shown_at

READ = "organization:read"


@dataclass(frozen=True, slots=True)
class Portrait:
    """An organization with what is looked up to show it."""

    organization: Organization
    domain: str | None  # the first verified one: what mail without a From is sent from
    campaigns: int
    contacts: int  # counted to contacts.COUNT_MAX


ORGANIZATION: Resource[Portrait] = Resource(
    type="organization",
    noun=Noun.ORGANIZATION,
    row_id=lambda portrait: portrait.organization.public_id,
    attributes={
        "name": lambda portrait: portrait.organization.name,
        "slug": lambda portrait: _slug(portrait.organization.name),
        "domain": lambda portrait: portrait.domain,
        "timezone": lambda portrait: portrait.organization.settings.timezone,
        "settings": lambda portrait: _settings(portrait),
        "subscription": lambda portrait: _subscription(portrait.organization),
        "stats": lambda portrait: _stats(portrait),
        "created_at": lambda portrait: shown_at(portrait.organization.created_at),
        "updated_at": lambda portrait: shown_at(portrait.organization.created_at),
    },
)
USER: Resource[Member] = Resource(
    type="user",
    noun=Noun.USER,
    row_id=lambda member: member.user.id,
    attributes={
        "email": lambda member: member.user.email,
        "full_name": lambda member: member.user.name or None,
        "role": lambda member: member.role,
        "status": lambda member: "active",
        "last_login_at": lambda member: None,
    },
    sorts={
        "email": Sort(str, lambda member: member.user.email),
        "full_name": Sort(str, lambda member: member.user.name),
    },
    order="email",
    is_flat=True,
)


async def get_organization(call: Call) -> Response:
    view, organization = read_view(call.request, ORGANIZATION), call.caller.organization
    return frame.one(ORGANIZATION, await call.services.db.read(_portrait, organization), view)


async def list_users(call: Call) -> Response:
    query = read_query(call.request, USER)
    members = await call.services.db.read(accounts.list_users, call.caller.principal)
    return frame.many(call.request, query, query.cut(members))


OPERATIONS = (
    Operation(
        "getOrganization", "GET", ("/v2/organization",), "The caller's organization", READ, get_organization
    ),
    Operation(
        "listOrganizationUsers", "GET", ("/v2/organization/users",), "Who belongs to it", READ, list_users
    ),
)


def _portrait(tx: Any, organization: Organization) -> Portrait:
    """Its counts are its own facts: who may see the organization sees them, with or without their scopes."""
    domain = domains.first_verified(tx, organization.id)
    return Portrait(
        organization,
        domain.name if domain else None,
        campaigns.count_campaigns(tx, Principal(organization.id)),
        contacts.count(tx, Principal(organization.id)).count,
    )


def _settings(portrait: Portrait) -> dict[str, Any]:
    return {
        "default_from_name": None,
        "default_from_email": f"noreply@{portrait.domain}" if portrait.domain else None,
        "footer_address": None,
        "branding": {"logo_url": None, "primary_color": None, "font_family": None},
    }


def _subscription(organization: Organization) -> dict[str, Any]:
    """The plan and its month: messages are counted by calendar month, UTC."""
    now = clock.to_datetime(clock.now_ms())
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=now.year + now.month // 12, month=now.month % 12 + 1)
    return {
        "plan": vocabulary.PLANS[organization.plan],
        "status": vocabulary.SUBSCRIPTION_STATUSES[organization.status],
        "email_limit": PLANS[organization.plan].monthly_messages,
        "emails_sent": None,
        "billing_period_end": shown_at(int(following.timestamp()) * clock.SECOND),
    }


def _stats(portrait: Portrait) -> dict[str, Any]:
    return {
        "total_contacts": portrait.contacts,
        "total_campaigns": portrait.campaigns,
        "total_emails_sent": None,
    }


def _slug(name: str) -> str:
    kept = "".join(char if char.isalnum() else " " for char in name.lower())
    return "-".join(kept.split())
