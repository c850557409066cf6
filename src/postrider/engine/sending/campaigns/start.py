"""From what an author wrote to a run: contents prepared, audience counted, quota taken, the job begun."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from postrider.db.database import Database, Tx
from postrider.engine import accounts, jobs, messages
from postrider.engine.accounts import Organization
from postrider.engine.audience import segments
from postrider.engine.audience.segments import Condition, Criteria, Field, Match, Op
from postrider.engine.content import Footer, default_tags
from postrider.engine.errors import Busy, Invalid, NotFound, QuotaExceeded
from postrider.engine.journal import EventKind
from postrider.engine.principal import Principal
from postrider.engine.sending.campaigns import rules, store
from postrider.engine.sending.campaigns.find import get_campaign
from postrider.engine.sending.campaigns.model import (
    READ,
    STREAM,
    WRITE,
    Campaign,
    CampaignStatus,
    Definition,
    Part,
    Variant,
)
from postrider.engine.sending.campaigns.rules import Step
from postrider.engine.sending.campaigns.write import held, tell
from postrider.engine.sending.expand import KIND, Order, order_to_json, subscribed, variables_of
from postrider.engine.sending.model import Recipient, SendCommand, Submission
from postrider.engine.sending.prepare import prepare
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.submit import (
    SEND_SCOPE,
    Draft,
    check_organizations,
    check_recipients,
    choose_domains,
    content_of,
    is_sandbox,
)
from postrider.kit import clock
from postrider.kit.address import Mailbox
from postrider.kit.ids import RowId, new_id

NOBODY = "The campaign names no list, no segment and no recipients"


@dataclass(frozen=True, slots=True)
class Ready:
    """A campaign whose run can be written: nothing of it needs the store any more."""

    campaign: Campaign
    drafts: list[Draft]  # one for each variant
    variables: frozenset[str]
    criteria: Criteria | None  # None: for the recipients it names
    total: int


async def start_campaign(
    db: Database, principal: Principal, campaign_id: RowId, routes: Routes, *, due_at: int = 0
) -> Campaign:
    """Begin to send it, first copies due now or at `due_at`. Raises EngineError; nothing happened then."""
    principal.require(WRITE)
    campaign = await db.read(get_campaign, reader(principal), campaign_id)
    rules.after(campaign.status, Step.START)
    ready = await make_ready(db, principal, campaign, routes)
    return await db.write_first(_begin, principal, ready, due_at)


async def check_campaign(db: Database, principal: Principal, campaign_id: RowId, routes: Routes) -> int:
    """To how many it would go if it were sent now. Raises the EngineError that would refuse it."""
    campaign = await db.read(get_campaign, reader(principal), campaign_id)
    rules.after(campaign.status, Step.SCHEDULE)
    ready = await make_ready(db, principal, campaign, routes)
    organization = ready.drafts[0].organization
    assert organization is not None
    allowed = accounts.PLANS[organization.plan].monthly_messages
    month = accounts.month_of(clock.now_ms())
    used = (await db.read(accounts.usage_of, _everything(principal), [month]))[month]
    if used + ready.total > allowed:
        raise QuotaExceeded(limit=allowed)
    return ready.total


async def make_ready(
    db: Database,
    principal: Principal,
    campaign: Campaign,
    routes: Routes,
    *,
    named: Sequence[Recipient] | None = None,
) -> Ready:
    """Contents, domain and audience, checked; of those `named`, who may be mailed. Raises EngineError."""
    organization_id = campaign.organization_id
    owner = (await db.read(accounts.organizations, [organization_id]))[organization_id]
    commands = [_command(campaign, variant, owner) for variant in arms(campaign.definition)]
    drafts = []
    sender = replace(principal, scopes=principal.scopes | {SEND_SCOPE})  # who writes campaigns sends them
    for command in commands:
        prepared, _ = prepare(command, merge=True)
        drafts.append(Draft(Submission(sender, prepared, list(named or ())), clock.now_ms()))
    variables = frozenset().union(*(variables_of(command) for command in commands))
    criteria, total = await db.read(_audience, campaign, named, drafts, routes)
    return Ready(campaign, drafts, variables, criteria, total)


def arms(definition: Definition) -> list[Variant]:
    """What is tried: the campaign as it stands first."""
    own = Variant("A")
    return [own, *definition.split_test.variants] if definition.split_test else [own]


def choose_winner(tx: Tx, principal: Principal, campaign_id: RowId, variant: int) -> Campaign:
    """Whoever was not in the test gets this variant now. Raises NotFound, NotAllowedNow, Invalid."""
    principal.require(WRITE)
    campaign = held(tx, principal, campaign_id)
    test = campaign.definition.split_test
    if test is None or campaign.winner is not None or campaign.run_id is None:
        rules.after(CampaignStatus.SENT, Step.START)
    assert test is not None
    assert campaign.run_id is not None
    if not 1 <= variant <= 1 + len(test.variants):
        raise Invalid(field="variant", message=f"variant must be 1 to {1 + len(test.variants)}")
    rules.after(campaign.status, Step.PAUSE)  # while it is being sent
    tested = jobs.facts_of(tx, campaign.organization_id, campaign.run_id)
    run_id = new_id()
    _write_run(tx, campaign, run_id, Part.REST, total=campaign.total)
    anew = {
        "run_id": run_id.hex(),
        "part": Part.REST.value,
        "winner": variant,
        "after": "",
        "made": 0,
    }
    _insert_job(tx, campaign, run_id, tested | anew)
    store.change(
        tx, campaign.organization_id, campaign.id, winner=variant, run_id=run_id, next_at=clock.now_ms()
    )
    return replace(campaign, winner=variant, run_id=run_id)


def _audience(
    tx: Tx, campaign: Campaign, named: Sequence[Recipient] | None, drafts: list[Draft], routes: Routes
) -> tuple[Criteria | None, int]:
    for step in (check_organizations, choose_domains):
        step(tx, drafts, routes)
        for draft in drafts:
            if draft.error is not None:
                raise draft.error
    if named is not None:
        check_recipients(tx, drafts[:1], routes)
        return None, len(drafts[0].free)
    principal = drafts[0].submission.principal
    criteria = whom(tx, principal, campaign.definition)
    if criteria is None:
        total = store.count_recipients(tx, campaign.organization_id, [campaign.id]).get(campaign.id, 0)
        if not total:
            raise Invalid(field="recipients", message=NOBODY, kind="required")
        return None, total
    return criteria, segments.count(tx, _everything(principal), subscribed(criteria))


def whom(tx: Tx, principal: Principal, definition: Definition) -> Criteria | None:
    """The contacts it is for; None where it names its recipients. Raises Invalid where a list is gone."""
    asked: list[Criteria | Condition] = []
    if definition.list_id is not None:
        asked.append(Condition(Field.LISTS, Op.IN, (definition.list_id,)))
    if definition.segment_id is not None:
        try:
            segment = segments.get(tx, _everything(principal), definition.segment_id)
        except NotFound:
            raise Invalid(field="segment_id", message="The segment is gone") from None
        asked.append(segments.whom(segment))
    return Criteria(Match.ALL, tuple(asked)) if asked else None


def _command(campaign: Campaign, variant: Variant, owner: Organization) -> SendCommand:
    own, settings = campaign.definition, owner.settings
    from_name = variant.from_name if variant.from_name is not None else own.from_name
    sender = Mailbox(own.from_email, from_name or "") if own.from_email else None
    known_as = settings.brand_name or (sender.name or sender.domain if sender else owner.name)
    tags = default_tags(campaign.name, known_as) if own.switches.get("google_analytics") else {}
    has_footer = own.switches.get("auto_footer", True)
    return SendCommand(
        to=[Mailbox("everybody@each.invalid")],  # each copy names its own recipient
        subject=variant.subject if variant.subject is not None else own.subject,
        html=variant.html if variant.html is not None else own.html,
        text=variant.text if variant.text is not None else own.text,
        from_=sender,
        reply_to=[Mailbox(own.reply_to)] if own.reply_to else [],
        metadata=None,
        track_opens=own.tracks("track_opens"),
        track_clicks=own.tracks("track_clicks"),
        stream=STREAM,
        footer=Footer(known_as, settings.postal_address) if has_footer else None,
        analytics_tags=tags,
    )


def _begin(tx: Tx, principal: Principal, ready: Ready, due_at: int) -> Campaign:
    """Raises NotFound, NotAllowedNow, QuotaExceeded, Busy."""
    now = clock.now_ms()
    campaign = held(tx, principal, ready.campaign.id)
    status = rules.after(campaign.status, Step.START)
    if campaign.updated_at != ready.campaign.updated_at:
        raise Busy  # changed while it was made ready: the caller tries again
    part = Part.TEST if len(ready.drafts) > 1 else Part.ALL
    run_id = open_run(tx, ready, part, list_id=campaign.id, due_at=max(now, due_at))
    begun = replace(
        campaign, status=status, total=campaign.total + ready.total, started_at=now, run_id=run_id,
        updated_at=now,
    )  # fmt: skip
    store.change(
        tx,
        campaign.organization_id,
        campaign.id,
        status=status.value,
        total=begun.total,
        expanded_at=None,
        started_at=now,
        updated_at=now,
        run_id=run_id,
        reason=None,
        next_at=now + clock.SECOND,
    )
    tell(tx, begun, EventKind.CAMPAIGN_STARTED)
    return begun


def open_run(tx: Tx, ready: Ready, part: Part, *, list_id: RowId, due_at: int) -> RowId:
    """Quota, contents, run and job; its first copies are due at `due_at`. Raises QuotaExceeded."""
    drafts, campaign = ready.drafts, ready.campaign
    first = drafts[0]
    assert first.organization is not None
    allowed = accounts.PLANS[first.organization.plan].monthly_messages
    if ready.total and not accounts.use(tx, {first.organization_id: (ready.total, allowed)}):
        raise QuotaExceeded(limit=allowed)
    share = max(1, ready.total // len(drafts))
    contents = [(replace(content_of(each), messages=share), each.submission.prepared.body) for each in drafts]
    messages.insert_contents(tx, contents)
    run_id = new_id()
    _write_run(tx, campaign, run_id, part, total=ready.total)
    definition = campaign.definition
    order = Order(
        campaign_id=campaign.id,
        run_id=run_id,
        content_ids=[draft.content_id for draft in drafts],
        domain_id=first.domain.id if first.domain else None,
        stream=STREAM,
        is_sandbox=is_sandbox(first),
        criteria=ready.criteria,
        list_id=list_id,
        accepted_at=first.now,
        variables=ready.variables,
        values={name: value for name, value in definition.values.items() if name in ready.variables},
        defaults={name: value for name, value in definition.defaults.items() if name in ready.variables},
        part=part,
        percent=definition.split_test.percent if definition.split_test else 0,
        timing=definition.timing,
        timezone=definition.timezone or first.organization.settings.timezone,
        due_at=due_at,
        batch_size=definition.batch_size,
        batch_delay_ms=round(definition.batch_delay_s * 1000),
    )
    _insert_job(tx, campaign, run_id, order_to_json(order))
    return run_id


def _write_run(tx: Tx, campaign: Campaign, run_id: RowId, part: Part, *, total: int) -> None:
    store.insert_run(
        tx,
        organization_id=campaign.organization_id,
        id=run_id,
        campaign_id=campaign.id,
        part=part.value,
        total=total,
        created_at=clock.now_ms(),
    )


def _insert_job(tx: Tx, campaign: Campaign, run_id: RowId, facts: dict[str, Any]) -> None:
    jobs.insert_job(
        tx, organization_id=campaign.organization_id, job_id=run_id, kind=KIND, facts=facts, pages=()
    )


def reader(principal: Principal) -> Principal:
    """Who writes may look up what it writes."""
    return replace(principal, scopes=frozenset({READ}))


def _everything(principal: Principal) -> Principal:
    """Whoever may send a campaign may send it to whom it names: counting them needs no scope of its own."""
    return replace(principal, scopes=frozenset({"*"}))
