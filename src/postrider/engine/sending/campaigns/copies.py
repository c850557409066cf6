"""Test copies of a campaign: ordinary single mails, marked as tests, that no report counts."""

from collections.abc import Sequence
from typing import Any

from postrider.engine.errors import Invalid
from postrider.engine.messages import Stream
from postrider.engine.principal import Principal
from postrider.engine.sending.campaigns.model import WRITE, Campaign, Definition
from postrider.engine.sending.model import SendCommand, Submission
from postrider.engine.sending.prepare import prepare, recipients_of
from postrider.kit.address import Mailbox

TEST_RECIPIENTS_MAX = 50


def make_test_copies(
    principal: Principal, campaign: Campaign, to: Sequence[Mailbox], values: dict[str, Any]
) -> list[Submission]:
    """A test copy for each address, filled with `values`; marked as tests. Raises Invalid, TemplateFault."""
    principal.require(WRITE)
    if not 1 <= len(to) <= TEST_RECIPIENTS_MAX:
        raise Invalid(field="recipients", message=f"1 to {TEST_RECIPIENTS_MAX} recipients are taken")
    prepared, _ = prepare(_command(campaign.definition, to[0]), merge=True)
    return [
        Submission(principal, prepared, recipients_of([mailbox], [], []), values=values, is_test=True)
        for mailbox in to
    ]


def _command(definition: Definition, mailbox: Mailbox) -> SendCommand:
    sender = Mailbox(definition.from_email, definition.from_name or "") if definition.from_email else None
    return SendCommand(
        to=[mailbox],
        subject=definition.subject,
        html=definition.html,
        text=definition.text,
        from_=sender,
        reply_to=[Mailbox(definition.reply_to)] if definition.reply_to else [],
        track_opens=definition.tracks("track_opens"),
        track_clicks=definition.tracks("track_clicks"),
        stream=Stream.TRANSACTIONAL,
    )
