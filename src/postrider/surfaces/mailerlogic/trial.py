"""POST /customer/test-email: one mail that is marked as a test, tracked as far as its domain's age allows."""

import asyncio
from typing import Any

from starlette.responses import Response

from postrider.engine import deliverability, domains, messages
from postrider.engine.content.headers import message_id
from postrider.engine.deliverability import SPAM_WORD, Content
from postrider.engine.domains import Domain
from postrider.engine.messages import Status
from postrider.engine.sending import Receipt, Submission, prepare
from postrider.kit import clock
from postrider.kit.ids import to_uuid
from postrider.surfaces.common.operations import Call, Operation, answer, sized
from postrider.surfaces.mailerlogic.ids import path_id
from postrider.surfaces.mailerlogic.limits import OLDEST_TEST_MODE, TEST_MODE_AGES
from postrider.surfaces.mailerlogic.sending import SCOPE
from postrider.surfaces.mailerlogic.vocabulary import PURPOSES, STATUSES, TEST_MODES
from postrider.surfaces.mailerlogic.wire import NewTest


async def send_test(call: Call, test: NewTest) -> Response:
    """The domain must be the account's own and verified, and From's; suppressed recipients are refused."""
    services, principal = call.services, call.caller.principal
    domain = await services.db.read(domains.get, principal, path_id(test.domain_id, "domain"))
    mode = test.test_mode or _mode_of(domain)
    opens, clicks = TEST_MODES[mode]((test.track_opens, test.track_clicks))
    command = test.command(domain.name, opens=opens, clicks=clicks)
    prepared, recipients = await sized(len(call.raw), prepare, command)
    receipt = await services.sender.send(Submission(principal, prepared, recipients, is_test=True))
    return answer(
        {
            "message": "Test email queued",
            "email": {
                "id": to_uuid(receipt.group_id),
                "from": test.from_.address,
                "to": test.to.address,
                "subject": test.subject,
                "domain": domain.name,
                "message_id": message_id(receipt.group_id, test.from_.domain),
                "status": STATUSES[Status.QUEUED],
                "tracking": await _tracking(call, receipt),
            },
            "test_mode": mode,
            "warnings": await _warnings(call, test) if test.analyze_content else [],
            "recommendations": await _recommendations(call, domain),
            "next_steps": [f"GET /api/v1/emails/{to_uuid(receipt.group_id)}/events tells what became of it"],
        },
        201,
    )


OPERATIONS = (
    Operation(
        "sendTestEmail", "POST", ("/api/v1/customer/test-email",), "Send a test email", SCOPE,
        send_test, body=NewTest, status=201,
    ),
)  # fmt: skip


def _mode_of(domain: Domain) -> str:
    age = clock.now_ms() - domain.created_at
    return next((mode for younger_than, mode in TEST_MODE_AGES if age < younger_than), OLDEST_TEST_MODE)


async def _warnings(call: Call, test: NewTest) -> list[str]:
    """The words of unwanted mail in it; what else there is, the content score tells."""
    content = Content(test.subject, test.html or "", test.text or "")
    scored = await asyncio.to_thread(deliverability.score, content)
    return [f"{issue.location}: {issue.message}" for issue in scored.issues if issue.name == SPAM_WORD]


async def _tracking(call: Call, receipt: Receipt) -> dict[str, Any]:
    """As the mail was kept: the domain's switches and the account's are in it."""
    read, organization_id = call.services.db.read, call.caller.principal.organization_id
    row: Any = await read(messages.one, organization_id, receipt.accepted[0].message_id)
    content = (await read(messages.contents, [(organization_id, row.content_id)]))[row.content_id]
    return {"opens": content.track_opens, "clicks": content.track_clicks}


async def _recommendations(call: Call, domain: Domain) -> list[str]:
    """Records of the domain that the last check did not find."""
    its_keys = await call.services.db.read(domains.keys_of, call.caller.principal, domain.id)
    found = domains.records(domain, its_keys, call.services.hostname)
    return [
        f"Publish the {PURPOSES[record.purpose]} record at {record.name}"
        for record in found
        if record.verified is False and PURPOSES[record.purpose] is not None
    ]
