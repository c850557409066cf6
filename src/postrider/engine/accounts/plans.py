"""What a plan allows, in the engine's words. The tiers of a dialect are tables in its own folder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    monthly_messages: int
    domains: int
    event_retention_days: int
    monthly_validations: int  # of addresses
    monthly_content_scores: int = 1_000


PLANS = {
    plan.name: plan
    for plan in (
        Plan("free", monthly_messages=3_000, domains=1, event_retention_days=3, monthly_validations=1_000),
        Plan(
            "starter", monthly_messages=50_000, domains=5, event_retention_days=7, monthly_validations=5_000
        ),
        Plan(
            "growth",
            monthly_messages=200_000,
            domains=20,
            event_retention_days=30,
            monthly_validations=20_000,
        ),
        Plan(
            "professional",
            monthly_messages=1_000_000,
            domains=100,
            event_retention_days=90,
            monthly_validations=100_000,
        ),
        Plan(
            "enterprise",
            monthly_messages=1_000_000_000,
            domains=10_000,
            event_retention_days=365,
            monthly_validations=1_000_000,
        ),
    )
}
