"""The doors' way in: gathers single sends into batches, runs bulk in its two halves, wakes the workers."""

from collections.abc import Callable, Sequence
from typing import Any

from postrider.db.database import Database, Unavailable
from postrider.engine.errors import Busy, EngineError
from postrider.engine.principal import Principal
from postrider.engine.sending import campaigns
from postrider.engine.sending.bulk import BulkCommand, BulkReceipt, check_bulk, submit_bulk
from postrider.engine.sending.campaigns import Batch, Campaign, Target
from postrider.engine.sending.model import Receipt, Submission
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.segments import SegmentCommand, check_segment, submit_segment
from postrider.engine.sending.submit import submit
from postrider.kit.gate import Gate, GateFull
from postrider.kit.ids import RowId

GATE_MAX = 200
LINGER_S = 0.003
WAITING_MAX = 5_000


class Sender:
    """One for the process. `on_accepted` is called after each commit that queued mail, `on_job` for bulk."""

    def __init__(
        self,
        db: Database,
        routes: Routes,
        on_accepted: Callable[[int], None],
        on_job: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self._routes = routes
        self._on_accepted = on_accepted
        self._on_job = on_job
        self._gate: Gate[Submission, Receipt | EngineError] = Gate(
            self._run, max_items=GATE_MAX, max_waiting=WAITING_MAX, max_running=2, linger_s=LINGER_S
        )

    async def send(self, submission: Submission) -> Receipt:
        """Answers when it is on disk. Raises the EngineError that refuses it, or Unavailable."""
        answer = (await self.send_many([submission]))[0]
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def send_many(self, submissions: Sequence[Submission]) -> list[Receipt | EngineError]:
        """Each for itself: one refused does not touch the others."""
        if len(submissions) == 1:
            try:
                return [await self._gate(submissions[0])]
            except GateFull:
                raise Busy from None
        answers: list[Receipt | EngineError] = []
        for start in range(0, len(submissions), GATE_MAX):
            answers += await self._submit(submissions[start : start + GATE_MAX])
        return answers

    async def send_bulk(self, command: BulkCommand) -> BulkReceipt:
        """Answers when recipients and content are on disk; expansion follows."""
        checked = await self._db.read(check_bulk, command, self._routes)
        receipt = await self._db.write_first(submit_bulk, checked)
        self._on_accepted(receipt.accepted)
        self._on_job()
        return receipt

    async def send_segment(self, command: SegmentCommand) -> BulkReceipt:
        """Answers when content and job are on disk; expansion follows."""
        checked = await self._db.read(check_segment, command, self._routes)
        receipt = await self._db.write_first(submit_segment, checked)
        self._on_accepted(receipt.accepted)
        self._on_job()
        return receipt

    async def start_campaign(self, principal: Principal, campaign_id: RowId) -> Campaign:
        """As campaigns.start_campaign."""
        campaign = await campaigns.start_campaign(self._db, principal, campaign_id, self._routes)
        self._on_job()
        return campaign

    async def check_campaign(self, principal: Principal, campaign_id: RowId) -> int:
        """As campaigns.check_campaign."""
        return await campaigns.check_campaign(self._db, principal, campaign_id, self._routes)

    async def send_batch(
        self, principal: Principal, campaign_id: RowId, targets: Sequence[Target], **changes: Any
    ) -> Batch:
        """As campaigns.send_batch."""
        batch = await campaigns.send_batch(self._db, principal, campaign_id, targets, self._routes, **changes)
        self._on_job()
        return batch

    async def drain(self) -> None:
        await self._gate.drain()

    async def _run(self, submissions: list[Submission]) -> list[Receipt | EngineError | Exception]:
        try:
            return list(await self._submit(submissions))
        except Unavailable as lost:
            return [lost] * len(submissions)
        except Exception as unexpected:  # one of them is bad: find out which, and let the others through
            if len(submissions) == 1:
                return [unexpected]
            return [(await self._run([submission]))[0] for submission in submissions]

    async def _submit(self, submissions: Sequence[Submission]) -> list[Receipt | EngineError]:
        answers = await self._db.write_first(submit, submissions, self._routes)
        self._on_accepted(sum(len(answer.accepted) for answer in answers if isinstance(answer, Receipt)))
        return answers
