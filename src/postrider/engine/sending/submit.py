"""`submit`: requests become contents and messages on their lanes, many requests in one set of statements.

Expected refusals are values; an unexpected error fails the whole batch, and the caller runs it again one by
one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from postrider.db.database import Tx
from postrider.engine import accounts, domains, journal, messages, suppression
from postrider.engine.accounts import Organization, OrganizationKind, OrganizationStatus
from postrider.engine.domains import Domain
from postrider.engine.errors import (
    DomainNotAllowed,
    DomainNotVerified,
    EngineError,
    Forbidden,
    IdempotencyConflict,
    Invalid,
    OrganizationSuspended,
    QuotaExceeded,
    RecipientSuppressed,
    RecipientUnsubscribed,
)
from postrider.engine.journal import Event, EventKind
from postrider.engine.messages import Content, NewMessage, Role, Status, Stream, queue
from postrider.engine.sending import store
from postrider.engine.sending.model import Accepted, Receipt, Recipient, Refused, Submission
from postrider.engine.sending.prepare import header_text
from postrider.engine.sending.routes import Routes
from postrider.engine.suppression.rules import Going
from postrider.kit import clock
from postrider.kit.address import Mailbox, ascii_domain
from postrider.kit.ids import RowId, new_id

SENT_WITHIN_MS = 3 * clock.DAY  # from its time to its last retry
SEND_SCOPE = "messages:send"
SANDBOX_DOMAIN = "sandbox.postrider.test"


@dataclass(slots=True)
class Draft:
    """A submission on its way through the steps: what each found out."""

    submission: Submission
    now: int
    content_id: RowId = field(default_factory=new_id)
    organization: Organization | None = None
    domain: Domain | None = None
    from_: Mailbox | None = None
    free: list[Recipient] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    error: EngineError | None = None
    receipt: Receipt | None = None
    twin: "Draft | None" = None  # an earlier one of this batch with the same idempotency key
    campaign_id: RowId | None = None
    is_platform: bool = False  # our own mail: see sending.platform

    @property
    def is_open(self) -> bool:
        return self.error is None and self.receipt is None and self.twin is None

    @property
    def organization_id(self) -> int:
        return self.submission.principal.organization_id

    @property
    def key(self) -> tuple[int, str] | None:
        key = self.submission.idempotency_key
        return None if key is None else (self.organization_id, key)


Step = Callable[[Tx, list[Draft], Routes], None]


def submit(tx: Tx, submissions: Sequence[Submission], routes: Routes) -> list[Receipt | EngineError]:
    """Accept what can be accepted; one answer for each submission, in order.

    A request of which no To recipient may be mailed is refused whole, and so is one that `is_whole` of which
    any may not; else those who may not are left out, each with its reason, and kept as suppressed messages,
    so that the record says what happened.
    """
    now = clock.now_ms()
    return run(tx, [Draft(submission, now) for submission in submissions], STEPS, routes)


def run(tx: Tx, drafts: list[Draft], steps: Sequence[Step], routes: Routes) -> list[Receipt | EngineError]:
    """The steps in their order, each over what is still open."""
    for step in steps:
        step(tx, [draft for draft in drafts if draft.is_open], routes)
    close_keys(tx, drafts)
    return [_answer(draft) for draft in drafts]


def replay(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    """A key that was answered gives the same answer again; the same key in one batch is one message."""
    same_key: dict[tuple[int, str], list[Draft]] = {}
    for draft in drafts:
        if draft.key is not None:
            same_key.setdefault(draft.key, []).append(draft)
    if not same_key:
        return
    first = [(*key, sharing[0].submission.fingerprint) for key, sharing in same_key.items()]
    fresh = store.reserve_keys(tx, first)
    kept = store.find_keys(tx, [key for key in same_key if key not in fresh])
    for key, sharing in same_key.items():
        leader = sharing[0]
        fingerprint, answer = kept.get(key, (leader.submission.fingerprint, None))
        for draft in sharing:
            if draft.submission.fingerprint != fingerprint:
                draft.error = IdempotencyConflict()
            elif key in kept:
                draft.receipt = replace(_receipt_from_json(answer), is_replay=True)
            elif draft is not leader:
                draft.twin = leader


def check_organizations(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    found = accounts.organizations(tx, [draft.organization_id for draft in drafts])
    for draft in drafts:
        draft.organization = found.get(draft.organization_id)
        if draft.organization is None or draft.organization.status is not OrganizationStatus.ACTIVE:
            draft.error = OrganizationSuspended()
            continue
        try:
            draft.submission.principal.require(SEND_SCOPE)
        except Forbidden as error:
            draft.error = error


def choose_domains(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    """The sending domain: the one named, else From's, else the first verified one. A sandbox may use any."""
    named = {(draft.organization_id, name) for draft in drafts if (name := _domain_name(draft)) is not None}
    verified = domains.find_verified(tx, sorted(named))
    for draft in drafts:
        try:
            _choose_domain(tx, draft, verified)
        except EngineError as error:
            draft.error = error


def check_recipients(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    asked = [
        (draft.organization_id, recipient.address_key)
        for draft in drafts
        for recipient in draft.submission.recipients
    ]
    entries = suppression.check(tx, asked)
    for draft in drafts:
        for recipient in draft.submission.recipients:
            error = None
            if found := entries.get((draft.organization_id, recipient.address_key)):
                error = refusal(found, recipient.address, draft)
            if error is None:
                draft.free.append(recipient)
            else:
                draft.refused.append(Refused(recipient.address, error))
        is_whole = draft.submission.is_whole
        if not draft.free or (draft.refused and (is_whole or not any(r.role is Role.TO for r in draft.free))):
            draft.error = (
                draft.refused[0].error if draft.refused else Invalid(field="to", message="no recipient")
            )


def use_quota(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    """One update per organization; where a plan has no room for a whole batch, requests go one by one."""
    amounts: dict[int, int] = {}
    for draft in drafts:
        amounts[draft.organization_id] = amounts.get(draft.organization_id, 0) + len(draft.free)
    allowed = {draft.organization_id: _allowed(draft) for draft in drafts}
    granted = (
        accounts.use(tx, {id_: (amount, allowed[id_]) for id_, amount in amounts.items()})
        if amounts
        else set()
    )
    for draft in drafts:
        id_ = draft.organization_id
        if id_ not in granted and not accounts.use(tx, {id_: (len(draft.free), allowed[id_])}):
            draft.error = QuotaExceeded(limit=allowed[id_])


def write(tx: Tx, drafts: list[Draft], routes: Routes) -> None:
    """Contents, messages on their lanes, and the events that say so."""
    if not drafts:
        return
    new_contents: list[tuple[Content, bytes]] = []
    attachments: list[tuple[int, bytes, bytes, int]] = []
    for draft in drafts:
        new_contents.append((content_of(draft), draft.submission.prepared.body))
        attachments += [
            (draft.organization_id, ref.hash, body, max(draft.now, draft.submission.send_at or 0))
            for ref, body in draft.submission.prepared.attachments
        ]
    messages.insert_contents(tx, new_contents)
    if attachments:
        messages.insert_attachments(tx, attachments)
    new: list[NewMessage] = []
    for draft in drafts:
        made = messages_of(draft, draft.free, Status.QUEUED)
        tracks_opens, tracks_clicks, _ = _flags(draft)
        draft.receipt = Receipt(
            draft.submission.group_id,
            draft.now,
            [Accepted(m.recipient, m.id) for m in made],
            draft.refused,
            tracks_opens=tracks_opens,
            tracks_clicks=tracks_clicks,
        )
        new += made
        if draft.refused:
            left_out = {refused.address for refused in draft.refused}
            new += messages_of(
                draft, [r for r in draft.submission.recipients if r.address in left_out], Status.SUPPRESSED
            )
    enqueue(tx, new, routes, sandboxes={d.organization_id for d in drafts if is_sandbox(d)})


def enqueue(tx: Tx, new: list[NewMessage], routes: Routes, *, sandboxes: set[int]) -> None:
    """Put messages on their lanes and say so in the journal; shared with the expansion of bulk."""
    places = places_of(tx, new, routes, sandboxes)
    lanes = queue.add_lanes(tx, places, routes.connections_of)
    lane_ids = [lanes[place].id for place in places]
    messages.insert_messages(tx, new, lane_ids)
    journal.record(tx, [_event(m) for m in new])
    due: dict[int, int] = {}
    for m, lane_id in zip(new, lane_ids, strict=True):
        if m.due_at is not None:
            due[lane_id] = min(m.due_at, due.get(lane_id, queue.FAR))
    queue.wake(tx, due)


def places_of(tx: Tx, new: Sequence[NewMessage], routes: Routes, sandboxes: set[int]) -> list[queue.Place]:
    """Where each message waits."""
    domains_of = [m.address_key.rpartition("@")[2] for m in new]
    known = queue.sites_of_domains(tx, domains_of) if routes.asks_dns else {}
    places = []
    for m, domain in zip(new, domains_of, strict=True):
        site = routes.site_of(domain, known, is_sandbox=m.organization_id in sandboxes)
        places.append(queue.Place(m.organization_id, m.stream, site, routes.slot_of(site, m.address_key)))
    return places


STEPS: tuple[Step, ...] = (replay, check_organizations, choose_domains, check_recipients, use_quota, write)


def refusal(entries: list[suppression.Entry], address: str, draft: Draft) -> EngineError | None:
    """The error that says why an address may not be mailed, or None."""
    assert draft.organization is not None
    stream = draft.submission.prepared.stream
    going = Going(
        domain_id=draft.domain.id if draft.domain else None,
        stream=stream.name.lower(),
        is_transactional=stream is Stream.TRANSACTIONAL,
        is_platform=draft.is_platform,
    )
    verdict, reason = suppression.decide(
        entries, going, optouts_stop_transactional=draft.organization.settings.optouts_stop_transactional
    )
    match verdict:
        case suppression.Verdict.FREE:
            return None
        case suppression.Verdict.SUPPRESSED:
            return RecipientSuppressed(recipient=address, reason=reason)
        case suppression.Verdict.UNSUBSCRIBED:
            return RecipientUnsubscribed(recipient=address)


def content_of(draft: Draft) -> Content:
    """The content's row: flags settled by request, then domain, then organization."""
    prepared = draft.submission.prepared
    assert draft.from_ is not None
    assert draft.organization is not None
    opens, clicks, unsubscribe = _flags(draft)
    return Content(
        organization_id=draft.organization_id,
        id=draft.content_id,
        kind=prepared.kind,
        from_header=header_text(draft.from_),
        from_address=draft.from_.address,
        subject=prepared.subject,
        headers=prepared.headers,
        track_opens=opens,
        track_clicks=clicks,
        unsubscribe_header=unsubscribe,
        links=prepared.links,
        attachments=[ref for ref, _ in prepared.attachments],
        size_bytes=prepared.size_bytes,
        messages=len(draft.submission.recipients),
        created_at=draft.now,
        expires_at=max(draft.now, draft.submission.send_at or 0) + SENT_WITHIN_MS,
        tags=prepared.tags,
        metadata=prepared.metadata,
    )


def messages_of(draft: Draft, recipients: Sequence[Recipient], status: Status) -> list[NewMessage]:
    prepared = draft.submission.prepared
    due_at = max(draft.now, draft.submission.send_at or 0) if status is Status.QUEUED else None
    return [
        NewMessage(
            organization_id=draft.organization_id,
            id=new_id(),
            group_id=draft.submission.group_id,
            content_id=draft.content_id,
            campaign_id=draft.campaign_id,
            recipient=recipient.address,
            address_key=recipient.address_key,
            role=recipient.role,
            vars=draft.submission.values if recipient.values is None else recipient.values,
            stream=prepared.stream,
            declared_stream=prepared.stream,
            domain_id=draft.domain.id if draft.domain else None,
            created_at=draft.now,
            due_at=due_at,
            is_test=draft.submission.is_test,
            status=status,
        )
        for recipient in recipients
    ]


def close_keys(tx: Tx, drafts: Sequence[Draft]) -> None:
    """Keep the answers of accepted requests under their keys; refused ones leave no key."""
    answers, refused = [], []
    for draft in drafts:
        if draft.key is None or draft.twin is not None or isinstance(draft.error, IdempotencyConflict):
            continue
        if draft.receipt is None:
            refused.append(draft.key)
        elif not draft.receipt.is_replay:
            answers.append((*draft.key, _receipt_to_json(draft.receipt)))
    store.answer_keys(tx, answers)
    store.forget_keys(tx, refused)


def _domain_name(draft: Draft) -> str | None:
    prepared = draft.submission.prepared
    if prepared.domain is not None:
        return ascii_domain(prepared.domain)
    return prepared.from_.domain if prepared.from_ is not None else None


def _choose_domain(tx: Tx, draft: Draft, verified: dict[tuple[int, str], Domain]) -> None:
    prepared = draft.submission.prepared
    name = _domain_name(draft)
    if name is None:
        draft.domain = domains.first_verified(tx, draft.organization_id)
    else:
        draft.domain = verified.get((draft.organization_id, name))
    if name is None and draft.domain is None and is_sandbox(draft):
        name = _siblings_domain(tx, draft)
    if draft.domain is None and (name is None or not is_sandbox(draft)):
        raise DomainNotVerified(domain=name or "(none)")
    draft.from_ = prepared.from_ or Mailbox(f"noreply@{draft.domain.name if draft.domain else name}")
    if name is not None and draft.from_.domain != name:
        raise DomainNotVerified(domain=draft.from_.domain)
    bound = draft.submission.principal.domain_id
    if bound is not None and (draft.domain is None or draft.domain.id != bound):
        raise DomainNotAllowed(domain=draft.from_.domain)


def _siblings_domain(tx: Tx, draft: Draft) -> str:
    """What a sandbox sends from unasked: the live organization's first domain, as if it were there."""
    assert draft.organization is not None
    live_id = draft.organization.live_id
    sibling = domains.first_verified(tx, live_id) if live_id is not None else None
    return sibling.name if sibling else SANDBOX_DOMAIN


def _flags(draft: Draft) -> tuple[bool, bool, bool]:
    """(opens, clicks, unsubscribe header): the mail's word, then the domain's, then the organization's."""
    assert draft.organization is not None
    if draft.is_platform:
        return False, False, False
    settings, domain, prepared = draft.organization.settings, draft.domain, draft.submission.prepared
    on = _first(domain.tracking_enabled if domain else None, settings.tracking_enabled)
    opens = _first(domain.open_tracking_enabled if domain else None, settings.open_tracking_enabled)
    clicks = _first(domain.click_tracking_enabled if domain else None, settings.click_tracking_enabled)
    header = _first(
        domain.unsubscribe_header_enabled if domain else None, settings.unsubscribe_header_enabled
    )
    return on and _first(prepared.track_opens, opens), on and _first(prepared.track_clicks, clicks), header


def _first(own: bool | None, inherited: bool) -> bool:
    return inherited if own is None else own


def is_sandbox(draft: Draft) -> bool:
    return draft.organization is not None and draft.organization.kind is OrganizationKind.SANDBOX


def _allowed(draft: Draft) -> int:
    assert draft.organization is not None
    return accounts.PLANS[draft.organization.plan].monthly_messages


def _event(message: NewMessage) -> Event:
    kind = EventKind.ACCEPTED if message.status is Status.QUEUED else EventKind.SUPPRESSED
    return Event(
        organization_id=message.organization_id,
        kind=kind,
        at=message.created_at,
        message_id=message.id,
        campaign_id=message.campaign_id,
    )


def _answer(draft: Draft) -> Receipt | EngineError:
    if draft.twin is not None:
        answer = _answer(draft.twin)
        return replace(answer, is_replay=True) if isinstance(answer, Receipt) else answer
    if draft.error is not None:
        return draft.error
    assert draft.receipt is not None
    return draft.receipt


def _receipt_to_json(receipt: Receipt) -> dict[str, object]:
    return {
        "group_id": receipt.group_id.hex(),
        "created_at": receipt.created_at,
        "accepted": [[accepted.address, accepted.message_id.hex()] for accepted in receipt.accepted],
        "tracks": [receipt.tracks_opens, receipt.tracks_clicks],
    }


def _receipt_from_json(answer: dict[str, object]) -> Receipt:
    accepted, tracks = answer["accepted"], answer.get("tracks", [False, False])
    assert isinstance(accepted, list)
    assert isinstance(tracks, list)
    return Receipt(
        group_id=bytes.fromhex(str(answer["group_id"])),
        created_at=int(str(answer["created_at"])),
        accepted=[Accepted(address, bytes.fromhex(message_id)) for address, message_id in accepted],
        refused=[],
        tracks_opens=tracks[0],
        tracks_clicks=tracks[1],
    )
