"""Finding domains: for those who manage them, for sending, and for signing. Changes nothing."""

from collections.abc import Sequence

from postrider.db.database import Tx
from postrider.engine.domains import store
from postrider.engine.domains.model import DkimKey, Domain, SigningKey
from postrider.engine.errors import NotFound
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId

PAGE_MAX = 1_000
READ = "domains:read"


def get(tx: Tx, principal: Principal, domain_id: RowId) -> Domain:
    """Raises NotFound, also for another organization's domain."""
    principal.require(READ)
    return _found(store.get(tx, principal.organization_id, domain_id))


def by_name(tx: Tx, principal: Principal, name: str) -> Domain:
    """By A-labels in lower case, as `rules.domain_name` gives them; raises NotFound."""
    principal.require(READ)
    return _found(store.by_name(tx, principal.organization_id, name))


def by_number(tx: Tx, principal: Principal, number: int) -> Domain:
    """Raises NotFound."""
    principal.require(READ)
    return _found(store.by_number(tx, principal.organization_id, number))


def list_domains(tx: Tx, principal: Principal, *, after: int = 0, limit: int = PAGE_MAX) -> list[Domain]:
    """In the order they were added, those whose number is above `after`; at most PAGE_MAX."""
    principal.require(READ)
    return store.page(tx, principal.organization_id, after=after, limit=min(limit, PAGE_MAX))


def keys_of(tx: Tx, principal: Principal, domain_id: RowId) -> list[DkimKey]:
    """Oldest first; none for a domain the organization does not have."""
    principal.require(READ)
    return store.keys(tx, principal.organization_id, domain_id)


def keys_of_all(tx: Tx, principal: Principal, domain_ids: Sequence[RowId]) -> dict[RowId, list[DkimKey]]:
    """By domain, oldest first; a domain that is not the organization's is left out."""
    principal.require(READ)
    return store.keys_of(tx, principal.organization_id, domain_ids)


def find_verified(tx: Tx, names: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Domain]:
    """Those of (organization, name) pairs (A-labels, lower case) that the organization may send from.

    Only the exact name counts: a verified example.com says nothing of mail.example.com, whose owner may be
    another, and which may have a DMARC policy of its own.
    """
    found = store.find_verified(tx, sorted(set(names))) if names else []
    return {(domain.organization_id, domain.name): domain for domain in found}


def first_verified(tx: Tx, organization_id: int) -> Domain | None:
    """The longest held verified domain, for mail that names no sender."""
    return store.first_verified(tx, organization_id)


def signing_keys(tx: Tx, domain_ids: Sequence[tuple[int, RowId]]) -> dict[RowId, list[SigningKey]]:
    """Active keys of (organization, domain) pairs, by domain and selector; a domain without is left out."""
    return store.signing_keys(tx, sorted(set(domain_ids))) if domain_ids else {}


def _found(domain: Domain | None) -> Domain:
    if domain is None:
        raise NotFound(noun="domain")
    return domain
