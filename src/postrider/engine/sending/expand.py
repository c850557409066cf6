"""From a run to its messages, in the background: everybody who matches criteria, or whom a list of it names.

Nobody is written down beforehand: contacts are read in the order of their ids, named recipients by their
numbers, and the last one is the job's place; a page of messages and the place are one transaction. Who was
not there when the run was accepted is not mailed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from postrider.db.database import Database, Tx
from postrider.engine import accounts, jobs, suppression
from postrider.engine.accounts import Organization
from postrider.engine.audience import contacts, segments
from postrider.engine.audience.contacts.values import values_of
from postrider.engine.audience.model import Contact, Status
from postrider.engine.audience.segments import Condition, Criteria, Field, Match, Op
from postrider.engine.content.render import Escape, compile
from postrider.engine.jobs import Job
from postrider.engine.messages import NewMessage, Role, Stream, frequency
from postrider.engine.messages import Status as MessageStatus
from postrider.engine.sending.campaigns import rules, store
from postrider.engine.sending.campaigns.model import CampaignStatus, Part, Timing
from postrider.engine.sending.model import SendCommand
from postrider.engine.sending.routes import Routes
from postrider.engine.sending.submit import enqueue
from postrider.engine.suppression.rules import Going
from postrider.kit import clock
from postrider.kit.ids import RowId, id_floor, new_id, nth_id
from postrider.kit.zones import zone

KIND = "campaign"
FOUND_AT_ONCE = 50_000  # ids of one reading
WRITTEN_AT_ONCE = 500  # messages of one write
TIMEZONE = "timezone"  # the property that tells where a contact is
_FIRST = b""
_IDS = ("campaign_id", "run_id", "domain_id", "list_id")


class Lost(Exception):
    """Another worker holds the job by now: what was written with this is undone."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job knows of its run. Kept as JSON."""

    campaign_id: RowId
    content_ids: list[RowId]  # by variant
    domain_id: RowId | None
    stream: Stream
    is_sandbox: bool
    criteria: Criteria | None  # None: the recipients of `list_id`
    accepted_at: int
    variables: frozenset[str]  # that the contents use
    run_id: RowId | None = None
    list_id: RowId | None = None
    values: dict[str, Any] = field(default_factory=dict)  # that fill all copies alike
    defaults: dict[str, Any] = field(default_factory=dict)  # where nothing is known of a recipient
    engaged_days: int | None = None  # only who opened or clicked within so many
    part: Part = Part.ALL
    percent: int = 0  # of a split test
    winner: int | None = None  # the variant the rest gets
    timing: Timing = Timing.AT_ONCE
    timezone: str = "UTC"
    due_at: int = 0  # of the first copies
    batch_size: int | None = None
    batch_delay_ms: int = 0
    after: str = ""  # the place: a contact's id as hex, or a number
    made: int = 0  # recipients so far: which batch is next


class Recipient(NamedTuple):
    """Somebody the run comes to: named, a contact, or both."""

    address: str
    address_key: str
    values: Mapping[str, Any]  # of its own
    contact: Contact | None
    message_id: RowId | None = None  # told beforehand


class Copy(NamedTuple):
    """One recipient's copy: what it is filled with, and whether it may be mailed."""

    recipient: str
    address_key: str
    values: dict[str, Any] | None
    is_free: bool
    contact_id: RowId | None = None
    variant: int | None = None
    due_at: int = 0
    id: RowId | None = None  # where it was told beforehand


@dataclass(frozen=True, slots=True)
class Page:
    """Copies to write, the place behind them, and how many recipients it took."""

    copies: list[Copy]
    after: str
    taken: int
    skipped: int  # who had enough mail already


def variables_of(command: SendCommand) -> frozenset[str]:
    """The names a content is filled with. Raises TemplateFault."""
    parts = (
        (command.subject, Escape.NONE, "subject"),
        (command.html, Escape.HTML, "html"),
        (command.text, Escape.NONE, "text"),
    )
    return frozenset().union(
        *(compile(source or "", escape, field=name).variables for source, escape, name in parts)
    )


def subscribed(criteria: Criteria, engaged_days: int | None = None) -> Criteria:
    """Those of them who are subscribed, and opened or clicked within so many days where it is asked."""
    asked: list[Criteria | Condition] = [
        Condition(Field.STATUS, Op.EQUALS, Status.SUBSCRIBED.name.lower()),
        criteria,
    ]
    if engaged_days is not None:
        fields = (Field.LAST_OPENED_AT, Field.LAST_CLICKED_AT)
        either = tuple(Condition(each, Op.WITHIN_DAYS, engaged_days) for each in fields)
        asked.append(Criteria(Match.ANY, either))
    return Criteria(Match.ALL, tuple(asked))


async def expand(db: Database, job: Job, owner: str, is_over: Callable[[], bool], routes: Routes) -> None:
    """Go on with a job until it is done, or `is_over`, which is asked after each page; then let it go.

    Raises Lost where it is another worker's by now.
    """
    while True:
        order = order_from_json(job.facts)
        pages = await db.read(_find, job.organization_id, order)
        for found in pages:
            page = await db.read(make_page, job.organization_id, order_from_json(job.facts), found)
            moved = await db.write(write_page, job, owner, page, routes)
            if moved is None:
                return
            job = moved
            if is_over():
                await db.write(jobs.pass_on, job, owner)
                return
        if not pages:
            await db.write(_end, job, owner)
            return


def make_page(tx: Tx, organization_id: int, order: Order, found: Sequence[Any]) -> Page:
    """The copies of contacts (by id) or of named recipients (rows), in order.

    Left out: contacts no longer subscribed, who has no part in the run, and who got enough mail lately.
    """
    if order.criteria is not None:
        recipients = _of_contacts(contacts.by_ids(tx, organization_id, found))
        after = found[-1].hex()
    else:
        recipients = _of_rows(tx, organization_id, order, found)
        after = str(found[-1].number)
    organization = accounts.organizations(tx, [organization_id])[organization_id]
    variants = [(each, _variant(order, each.address_key)) for each in recipients]
    meant = [(each, variant) for each, variant in variants if variant is not None]
    full = _mailed_enough(tx, organization, order, [each for each, _ in meant])
    ours = [(each, variant) for each, variant in meant if each.address_key not in full]
    free = _free(tx, organization, order, [each for each, _ in ours])
    copies = [
        Copy(
            each.address,
            each.address_key,
            _filled(each, order) | order.values,
            each.address_key in free,
            each.contact.id if each.contact else None,
            variant if len(order.content_ids) > 1 else None,
            _due_at(order, each, place),
            each.message_id,
        )
        for place, (each, variant) in enumerate(ours, order.made)
    ]
    return Page(copies, after, len(copies), len(full))


def write_page(tx: Tx, job: Job, owner: str, page: Page, routes: Routes) -> Job | None:
    """A page's messages and the job's new place, in one transaction; None where the campaign is halted.

    Raises Lost.
    """
    order = order_from_json(job.facts)
    store.hold(tx, job.organization_id, order.campaign_id)  # who cancels it gives back what is not made
    halted = store.halted(tx, [(job.organization_id, order.campaign_id)])
    if halted:
        if CampaignStatus.CANCELLED in halted.values():
            _end(tx, job, owner)
        else:
            jobs.park(tx, job, owner)
        return None
    facts = {**job.facts, "after": page.after, "made": order.made + page.taken}
    moved = jobs.keep_place(tx, job, owner, facts)
    if moved is None:
        raise Lost
    if page.copies:
        enqueue_copies(tx, job.organization_id, order, page.copies, routes)
    if order.run_id is not None:
        skipped = page.skipped + sum(not copy.is_free for copy in page.copies)
        made = len(page.copies) + page.skipped - skipped
        store.count_made(tx, job.organization_id, order.campaign_id, made, skipped)
        store.count_run(tx, job.organization_id, order.run_id, made, skipped)
    elif page.skipped:  # all were counted when the request was accepted
        store.count_made(tx, job.organization_id, order.campaign_id, -page.skipped, page.skipped)
    return moved


def enqueue_copies(
    tx: Tx, organization_id: int, order: Order, copies: Sequence[Copy], routes: Routes
) -> None:
    """A message for each recipient of a run."""
    now = clock.now_ms()

    def message(copy: Copy) -> NewMessage:
        message_id = copy.id or new_id()
        return NewMessage(
            organization_id=organization_id,
            id=message_id,
            group_id=message_id,  # every copy is a mail of its own
            content_id=order.content_ids[(copy.variant or 1) - 1],
            campaign_id=order.campaign_id,
            recipient=copy.recipient,
            address_key=copy.address_key,
            role=Role.TO,
            vars=copy.values,
            stream=order.stream,
            declared_stream=order.stream,
            domain_id=order.domain_id,
            created_at=now,
            due_at=max(now, copy.due_at) if copy.is_free else None,
            is_test=False,
            status=MessageStatus.QUEUED if copy.is_free else MessageStatus.SUPPRESSED,
            run_id=order.run_id,
            variant=copy.variant,
            contact_id=copy.contact_id,
        )

    sandboxes = {organization_id} if order.is_sandbox else set()
    enqueue(tx, [message(copy) for copy in copies], routes, sandboxes=sandboxes)


def order_to_json(order: Order) -> dict[str, Any]:
    told = asdict(order)
    told |= {name: told[name] and told[name].hex() for name in _IDS}
    told["content_ids"] = [each.hex() for each in order.content_ids]
    told["criteria"] = None if order.criteria is None else segments.to_json(order.criteria)
    told["variables"] = sorted(order.variables)
    return {**told, "stream": int(order.stream), "part": order.part.value, "timing": order.timing.value}


def order_from_json(told: Mapping[str, Any]) -> Order:
    values = {**told, **{name: bytes.fromhex(told[name]) for name in _IDS if told.get(name)}}
    values["content_ids"] = [bytes.fromhex(each) for each in told["content_ids"]]
    values["criteria"] = None if told["criteria"] is None else segments.parse(told["criteria"])
    values["variables"] = frozenset(told["variables"])
    values["stream"], values["part"] = Stream(told["stream"]), Part(told["part"])
    return Order(**{**values, "timing": Timing(told["timing"])})


def _find(tx: Tx, organization_id: int, order: Order) -> list[Sequence[Any]]:
    """What comes next, in pages of WRITTEN_AT_ONCE; none at the end."""
    found: Sequence[Any]
    if order.criteria is None:
        assert order.list_id is not None
        after = int(order.after) if order.after else -1
        found = store.recipients(tx, organization_id, order.list_id, after=after, limit=WRITTEN_AT_ONCE)
    else:
        found = segments.matching(
            tx,
            organization_id,
            subscribed(order.criteria, order.engaged_days),
            after=bytes.fromhex(order.after),
            before=id_floor(order.accepted_at + 1),
            now=order.accepted_at,
            limit=FOUND_AT_ONCE,
        )
    return [found[start : start + WRITTEN_AT_ONCE] for start in range(0, len(found), WRITTEN_AT_ONCE)]


def _of_contacts(found: Any) -> list[Recipient]:
    return [
        Recipient(each.email, each.address_key, {}, each)
        for each in found
        if each.status is Status.SUBSCRIBED
    ]


def _of_rows(tx: Tx, organization_id: int, order: Order, rows: Sequence[Any]) -> list[Recipient]:
    """Named recipients need be no contacts; of those who are, the contact fills what the sender did not."""
    known = {
        each.address_key: each
        for each in contacts.by_keys(tx, organization_id, [r.address_key for r in rows])
    }
    is_told = order.part is Part.BATCH and order.run_id is not None
    return [
        Recipient(
            row.address,
            row.address_key,
            row.vars or {},
            known.get(row.address_key),
            nth_id(order.run_id, row.number) if is_told and order.run_id else None,
        )
        for row in rows
    ]


def _variant(order: Order, address_key: str) -> int | None:
    """Which variant a recipient gets; None where this part of the run does not come to it."""
    if order.part not in (Part.TEST, Part.REST):
        return 1
    bucket = rules.bucket_of(order.campaign_id, address_key)
    tried = rules.variant_of(bucket, order.percent, len(order.content_ids))
    if order.part is Part.TEST:
        return tried
    return order.winner if tried is None else None


def _due_at(order: Order, recipient: Recipient, place: int) -> int:
    at = order.due_at
    if order.batch_size is not None:
        return at + place // order.batch_size * order.batch_delay_ms
    if order.timing is Timing.AT_ONCE or recipient.contact is None:
        return at
    contact = recipient.contact
    if order.timing is Timing.OPTIMIZED:
        return rules.hour_like(at, contact.last_clicked_at or contact.last_opened_at)
    own = recipient.values.get(TIMEZONE) or contact.properties.get(TIMEZONE)
    campaign_zone = zone(order.timezone) or rules.UTC_ZONE
    return rules.local_time(at, campaign_zone, zone(own if isinstance(own, str) else None))


def _mailed_enough(tx: Tx, organization: Organization, order: Order, asked: Sequence[Recipient]) -> set[str]:
    """The address keys that got as much mail to many of late as the organization allows."""
    settings = organization.settings
    if not settings.frequency_cap_count or order.stream is not Stream.BROADCAST:
        return set()
    since = clock.now_ms() - settings.frequency_cap_days * clock.DAY
    keys = [each.address_key for each in asked]
    counts = frequency.recently_mailed(tx, organization.id, keys, since=since, streams=[Stream.BROADCAST])
    return {key for key, count in counts.items() if count >= settings.frequency_cap_count}


def _free(tx: Tx, organization: Organization, order: Order, asked: Sequence[Recipient]) -> set[str]:
    """The address keys that may be mailed: an opt-out may reach one domain or stream only."""
    entries = suppression.check(tx, [(organization.id, each.address_key) for each in asked])
    going = Going(
        domain_id=order.domain_id,
        stream=order.stream.name.lower(),
        is_transactional=order.stream is Stream.TRANSACTIONAL,
    )
    free = set()
    for each in asked:
        verdict, _ = suppression.decide(
            entries.get((organization.id, each.address_key), ()),
            going,
            optouts_stop_transactional=organization.settings.optouts_stop_transactional,
        )
        if verdict is suppression.Verdict.FREE:
            free.add(each.address_key)
    return free


def _filled(recipient: Recipient, order: Order) -> dict[str, Any]:
    """What the sender named, over the contact's fields, over its properties, over what stands in for them.

    Those that the content uses.
    """
    known: dict[str, Any] = {"email": recipient.address}
    if (contact := recipient.contact) is not None:
        known = values_of(contact)
    own = {name: value for name, value in {**known, **recipient.values}.items() if name in order.variables}
    substitutes = {name: value for name, value in order.defaults.items() if own.get(name) is None}
    return own | substitutes


def _end(tx: Tx, job: Job, owner: str) -> None:
    """All its messages are made, or none will be any more."""
    order = order_from_json(job.facts)
    jobs.end_job(tx, job, owner)
    if order.run_id is not None:
        store.end_run(tx, job.organization_id, order.run_id)
    is_all = order.part is not Part.TEST or order.percent == rules.EVERYBODY
    if is_all and not store.open_runs(tx, job.organization_id, order.campaign_id):
        now = clock.now_ms()
        store.change(tx, job.organization_id, order.campaign_id, expanded_at=now)
