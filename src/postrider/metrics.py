"""What /metrics tells, in Prometheus text: counted where it happens, asked of the store where it waits."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from postrider.db.database import Tx
from postrider.engine import journal, webhooks
from postrider.engine.delivery.model import Outcome
from postrider.engine.messages import Claimed, queue
from postrider.engine.notices import alerts
from postrider.kit import clock

LAG_COUNTED_TO = 100_000
SITES_NAMED = 100  # sites beyond these are counted as "other"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600)


class Metrics:
    """One for the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("postrider_accepted", "Messages accepted.", registry=self.registry)
        self._attempts = Counter(
            "postrider_attempts", "Attempts by outcome and site.", ["outcome", "site"], registry=self.registry
        )
        self._first_attempt = Histogram(
            "postrider_first_attempt_seconds",
            "From acceptance to the end of the first attempt.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._inbound = Counter(
            "postrider_inbound", "Mails that came back, by what they did.", ["kind"], registry=self.registry
        )
        self._webhook_posts = Counter(
            "postrider_webhook_posts",
            "Posts to webhooks by what came of them.",
            ["outcome"],
            registry=self.registry,
        )
        self._webhook_lag = Gauge(
            "postrider_webhook_lag_seconds",
            "How long the longest waiting webhook waits.",
            registry=self.registry,
        )
        self._webhooks_disabled = Gauge(
            "postrider_webhooks_disabled",
            "Webhooks switched off for failing too long.",
            registry=self.registry,
        )
        self._lanes_due = Gauge("postrider_lanes_due", "Lanes with mail due.", registry=self.registry)
        self._oldest = Gauge(
            "postrider_queue_age_seconds", "How long the longest waiting lane waits.", registry=self.registry
        )
        self._lag = Gauge(
            "postrider_follower_lag_events", "Events followers have not seen.", registry=self.registry
        )
        self._parked = Gauge("postrider_parked_events", "Events set aside.", registry=self.registry)
        self.held = Gauge(
            "postrider_held_messages", "Messages claimed and not settled.", registry=self.registry
        )
        self.lost_hits = Gauge(
            "postrider_lost_hits", "Hits dropped because the store was away.", registry=self.registry
        )
        self._alerts = Gauge(
            "postrider_alerts", "Alerts to the operator that go on.", ["kind"], registry=self.registry
        )
        self._sites: set[str] = set()

    def observe(self, site: str, claimed: Claimed, outcome: Outcome) -> None:
        """After each attempt."""
        if site not in self._sites and len(self._sites) < SITES_NAMED:
            self._sites.add(site)
        self._attempts.labels(outcome.verdict.value, site if site in self._sites else "other").inc()
        if claimed.attempts == 0:
            self._first_attempt.observe(max(0, clock.now_ms() - claimed.created_at) / 1000)

    def came_back(self, kind: str) -> None:
        """After each mail to an address of ours."""
        self._inbound.labels(kind).inc()

    def posted(self, attempts: Sequence[webhooks.Attempt]) -> None:
        """After the posts to one webhook were settled."""
        for attempt in attempts:
            self._webhook_posts.labels(attempt.outcome.name.lower()).inc()

    def ask(self, tx: Tx) -> bytes:
        """The whole text; the gauges are asked of the store now."""
        lanes, age_ms = queue.due_age(tx)
        self._lanes_due.set(lanes)
        self._oldest.set(age_ms / 1000)
        self._lag.set(journal.tail_length(tx, LAG_COUNTED_TO))
        self._parked.set(journal.parked_count(tx))
        lag_ms, disabled = webhooks.lag(tx)
        self._webhook_lag.set(lag_ms / 1000)
        self._webhooks_disabled.set(disabled)
        for kind, count in alerts.open_by_kind(tx).items():
            self._alerts.labels(kind.value).set(count)
        return generate_latest(self.registry)
