"""`send`: a notice becomes mail of the organization it is about, queued like any other."""

import structlog

from postrider.db.database import Tx
from postrider.engine import accounts, sending
from postrider.engine.errors import EngineError
from postrider.engine.messages import Stream
from postrider.engine.notices import store
from postrider.engine.notices.model import FORMS, Audience, Letterhead, Notice
from postrider.engine.notices.render import write
from postrider.engine.principal import Principal
from postrider.engine.sending import SendCommand, Submission
from postrider.engine.sending.platform import submit_platform
from postrider.kit import clock
from postrider.kit.address import Mailbox

READERS_MAX = 50  # of one notice
KEPT_MS = 400 * clock.DAY  # so long is a cause remembered
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}  # RFC 3834 5
_ROLES = {Audience.OWNERS: ("owner",), Audience.KEEPERS: ("owner", "admin")}
_log = structlog.get_logger("notices")


def send(tx: Tx, letterhead: Letterhead, notice: Notice) -> bool:
    """Queue a mail to each who is to read it; False where its cause was mailed before, or nobody can be.

    An organization that is suspended is not written to. Whose address bounced is left out.
    """
    organization = accounts.organization(tx, notice.organization_id)
    if organization is None or not store.remember(tx, notice.organization_id, notice.source_id, notice.kind):
        return False
    readers = _readers(tx, notice)
    if not readers:
        _log.warning("notice_to_nobody", kind=notice.kind, organization=notice.organization_id)
        return False
    written = write(letterhead, notice, organization.name)
    submissions = []
    for address in readers:
        command = SendCommand(
            to=[Mailbox(address)],
            subject=written.subject,
            html=written.html,
            text=written.text,
            from_=letterhead.from_,
            headers=HEADERS,
            track_opens=False,
            track_clicks=False,
            stream=Stream.TRANSACTIONAL,
        )
        prepared, recipients = sending.prepare(command)
        submissions.append(Submission(Principal(notice.organization_id), prepared, recipients))
    answers = submit_platform(tx, submissions, letterhead.routes)
    refused = [answer.code for answer in answers if isinstance(answer, EngineError)]
    if refused:
        _log.warning(
            "notice_refused", kind=notice.kind, organization=notice.organization_id, reasons=sorted(refused)
        )
    return len(refused) < len(answers)


def drop_old(tx: Tx) -> int:
    """Causes that are forgotten, store.DROPPED_AT_ONCE at most; answers how many."""
    return store.drop_old(tx, clock.now_ms() - KEPT_MS)


def _readers(tx: Tx, notice: Notice) -> tuple[str, ...]:
    audience = FORMS[notice.kind].audience
    if audience is Audience.NAMED:
        return notice.to[:READERS_MAX]
    members = accounts.members_in(tx, notice.organization_id, _ROLES[audience], READERS_MAX)
    return tuple(member.user.email for member in members)
