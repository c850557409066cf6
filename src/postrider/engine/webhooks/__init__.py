"""Webhooks: one engine that queues, posts, repeats and logs, and a Format for each surface."""

from postrider.engine.webhooks.deliver import lag, release_dead, try_out
from postrider.engine.webhooks.endpoints import (
    Changes,
    attempts_of,
    create_endpoint,
    delete_endpoint,
    domain_names,
    get_endpoint,
    list_endpoints,
    make_secret,
    update_endpoint,
)
from postrider.engine.webhooks.follow import follower
from postrider.engine.webhooks.model import (
    Attempt,
    Endpoint,
    EndpointState,
    Format,
    Formats,
    Occasion,
    Outcome,
    Rendered,
    Sample,
)

__all__ = [
    "Attempt",
    "Changes",
    "Endpoint",
    "EndpointState",
    "Format",
    "Formats",
    "Occasion",
    "Outcome",
    "Rendered",
    "Sample",
    "attempts_of",
    "create_endpoint",
    "delete_endpoint",
    "domain_names",
    "follower",
    "get_endpoint",
    "lag",
    "list_endpoints",
    "make_secret",
    "release_dead",
    "try_out",
    "update_endpoint",
]
