"""The records of webhooks, and what a format must tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from postrider.engine.accounts import Organization
from postrider.engine.audience.persons import Person
from postrider.engine.insight import Counts
from postrider.engine.journal import Event, EventKind
from postrider.kit.ids import RowId
from postrider.kit.record import record

CONTENT_TYPE = {"Content-Type": "application/json"}


class EndpointState(IntEnum):
    ACTIVE = 1
    OFF = 2  # by the customer
    DISABLED = 3  # by us: it failed for too long
    DELETED = 4  # until its queue and log are gone


class Outcome(IntEnum):
    """What came of an attempt. Stored numbers: never renumber."""

    TAKEN = 1
    TRIED_AGAIN = 2  # it failed, and another follows
    GIVEN_UP = 3  # it failed, and was the schedule's last


@record
class Endpoint:
    """Where events of an organization are posted to, without its secret."""

    organization_id: int
    id: RowId
    number: int
    format: str
    url: str
    name: str | None
    description: str | None
    events: list[str]
    domain_ids: list[str] | None  # hexadecimal; None: all domains
    state: EndpointState
    failures: int
    failing_since: int | None
    created_at: int
    updated_at: int

    @property
    def is_active(self) -> bool:
        return self.state is EndpointState.ACTIVE


@record
class CampaignName:
    """What an event's campaign is called; `label`: its author's own kind of campaign."""

    id: RowId
    name: str
    kind: str
    label: str | None


@record
class DomainName:
    """What a message's sending domain is called."""

    id: RowId
    number: int
    name: str


@record
class Occasion:
    """An event with all that a format may tell of it.

    `message` is a row of `messages.one`, None where the event is about none or the message is gone; `domain`
    its sending domain, None where that is gone; `person` the contact it is about, or its recipient where that
    is one; `counts` what became of the campaign so far, where the event is about a campaign itself.
    """

    event: Event
    word: str
    organization: Organization
    message: Any
    campaign: CampaignName | None
    domain: DomainName | None
    person: Person | None = None
    counts: Counts | None = None


@record
class Rendered:
    headers: dict[str, str]
    body: bytes


@record
class Sample:
    """What a test delivery is about."""

    word: str
    event_id: RowId
    organization: Organization
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How one surface words its webhooks. All functions are pure.

    `words` maps an event to the names it is posted under, `names` are all that may be subscribed to. `render`
    answers None for an occasion it has nothing to say on. `sign` gives the headers of one attempt from the
    secret, the body and an id of the attempt: a renewed secret also signs what waits. The attempt after `n`
    failed ones follows after `retries_ms[n - 1]`. After `failures_max` failed attempts in a row, the first of
    them `failing_ms` ago, the endpoint is disabled.
    """

    name: str
    names: tuple[str, ...]
    words: Mapping[EventKind, tuple[str, ...]]
    render: Callable[[Occasion], Rendered | None]
    sample: Callable[[Sample], Rendered]
    sign: Callable[[bytes, bytes, RowId], dict[str, str]]
    retries_ms: tuple[int, ...]
    timeout_s: float
    failures_max: int
    failing_ms: int = 0
    is_unique: bool = False  # one endpoint for a URL with the same events

    def headers(self, secret: bytes, rendered: Rendered, attempt_id: RowId) -> dict[str, str]:
        """All that one attempt sends beside its body."""
        return {**CONTENT_TYPE, **rendered.headers, **self.sign(secret, rendered.body, attempt_id)}

    def next_at(self, attempts: int, now: int) -> int | None:
        """When the attempt after `attempts` failed ones is due; None: never."""
        return now + self.retries_ms[attempts - 1] if attempts <= len(self.retries_ms) else None


Formats = Mapping[str, Format]


@record
class Waiting:
    """A row of the queue: an event on its way to an endpoint."""

    organization_id: int
    endpoint_id: RowId
    event_id: RowId
    word: str
    attempts: int
    rendered: Rendered | None


@record
class Attempt:
    """One post that was tried, as the log keeps it."""

    organization_id: int
    endpoint_id: RowId
    event_id: RowId
    word: str
    number: int
    started_at: int
    duration_ms: int
    status: int | None
    fault: str | None
    answer: str | None
    next_at: int | None
    id: RowId
    answer_headers: str | None = None  # JSON, as it is stored

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> Outcome:
        if self.is_success:
            return Outcome.TAKEN
        return Outcome.GIVEN_UP if self.next_at is None else Outcome.TRIED_AGAIN
