"""The surface as the composition root mounts it: all its operations, its keys, a line of curl that works."""

from starlette.applications import Starlette

from postrider.kit import json
from postrider.surfaces.common.openapi import docs_routes
from postrider.surfaces.common.operations import Manner, Operation, make_app
from postrider.surfaces.common.services import Services, Surface
from postrider.surfaces.mailerlogic import (
    auth,
    bounces,
    campaign_reports,
    contact_emails,
    contacts,
    content_score,
    credentials,
    domains,
    errors,
    event_list,
    events,
    properties,
    segment_mail,
    segments,
    sending,
    statistics,
    suppressions,
    tags,
    trial,
    validation,
    webhooks,
)
from postrider.surfaces.mailerlogic.keys import KEYS
from postrider.surfaces.mailerlogic.limits import Allowance
from postrider.surfaces.mailerlogic.webhook_format import FORMAT

OPERATIONS: tuple[Operation, ...] = (
    *sending.OPERATIONS,
    *trial.OPERATIONS,
    *content_score.OPERATIONS,
    *validation.OPERATIONS,
    *events.OPERATIONS,
    *credentials.OPERATIONS,
    *domains.OPERATIONS,
    *bounces.OPERATIONS,
    *campaign_reports.OPERATIONS,
    *segment_mail.OPERATIONS,
    *segments.OPERATIONS,
    *properties.OPERATIONS,  # before contacts, whose {id} takes any word
    *event_list.OPERATIONS,
    *statistics.OPERATIONS,
    *suppressions.OPERATIONS,
    *webhooks.OPERATIONS,
    *tags.OPERATIONS,
    *contact_emails.OPERATIONS,
    *contacts.OPERATIONS,  # last: what comes below /contacts stands before an id
)


def make(services: Services) -> Starlette:
    manner = Manner(
        name=auth.LABEL,
        title="MailerLogic API on Postrider",
        version="1.0.0",
        authenticate=auth.authenticate,
        refuse=errors.refuse,
        fail=errors.fail,
        finish=Allowance().stamp,
        security=auth.SECURITY,
    )
    return make_app(services, manner, OPERATIONS, extra=docs_routes(manner, OPERATIONS))


def curl(base_url: str, key: str, domain: str) -> str:
    """One line that sends a mail as it is pasted."""
    mail = {
        "from": f"hello@{domain}",
        "to": "you@example.com",
        "subject": "It works",
        "html": "<h1>It works</h1>",
    }
    return (
        f"curl -sS {base_url}/mailerlogic/api/v1/send -H 'X-API-Key: {key}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(mail)}'"
    )


SURFACE = Surface(
    name="mailerlogic",
    make=make,
    keys=KEYS,
    hosts=("mailerlogic.localhost",),
    curl=curl,
    webhooks=FORMAT,
)
