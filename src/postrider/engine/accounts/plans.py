"""What a plan allows, in the engine's words. The tiers of a dialect are tables in its own folder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    monthly_messages: int
    domains: int
    event_retention_days: int


PLANS = {
    plan.name: plan
    for plan in (
        Plan("free", monthly_messages=3_000, domains=1, event_retention_days=3),
        Plan("starter", monthly_messages=50_000, domains=5, event_retention_days=7),
        Plan("growth", monthly_messages=200_000, domains=20, event_retention_days=30),
        Plan("professional", monthly_messages=1_000_000, domains=100, event_retention_days=90),
        Plan("enterprise", monthly_messages=1_000_000_000, domains=10_000, event_retention_days=365),
    )
}
