"""The way in of the platform's own mail: what it has to tell the people of an organization.

It belongs to the organization, is of no sending domain unless From's is one of its verified domains, uses
nothing of its plan, is not tracked, and is not stopped by opt-outs: those are about the organization's mail.
`notices` alone calls this; no door does.
"""

from collections.abc import Sequence
from dataclasses import replace

from postrider.db.database import Tx
from postrider.engine import domains
from postrider.engine.errors import EngineError
from postrider.engine.sending.model import Receipt, Submission
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.submit import Draft, Step, check_organizations, check_recipients, run, write
from postrider.kit import clock


def submit_platform(tx: Tx, submissions: Sequence[Submission], routes: Routes) -> list[Receipt | EngineError]:
    """As `submit`, by the platform's own rules. From is named; there are no idempotency keys."""
    now = clock.now_ms()
    return run(tx, [Draft(_marked(each), now, is_platform=True) for each in submissions], STEPS, routes)


def choose_domains(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    """From's domain where the organization has verified it, so that the mail is signed; else none."""
    for draft in drafts:
        draft.from_ = draft.submission.prepared.from_
    named = {(draft.organization_id, draft.from_.domain) for draft in drafts if draft.from_ is not None}
    verified = domains.find_verified(tx, sorted(named))
    for draft in drafts:
        assert draft.from_ is not None
        draft.domain = verified.get((draft.organization_id, draft.from_.domain))


STEPS: tuple[Step, ...] = (check_organizations, choose_domains, check_recipients, write)


def _marked(submission: Submission) -> Submission:
    """The mark stays on the content: the worker asks again who may be mailed."""
    prepared = submission.prepared
    return replace(submission, prepared=replace(prepared, headers={**prepared.headers, "platform": True}))
