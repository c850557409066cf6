"""Adding, finding and removing domains, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from tests.unit.engine.domains.world import World

from postrider.engine import accounts
from postrider.engine.domains import find
from postrider.engine.domains.add import add
from postrider.engine.domains.model import Algorithm, DomainStatus, KeyState, NewKey
from postrider.engine.domains.remove import remove
from postrider.engine.errors import Conflict, Forbidden, Invalid, NotFound, PlanLimitReached
from postrider.engine.principal import Principal
from postrider.kit import ids


def test_a_domain_begins_pending_with_one_key_that_signs(world: World) -> None:
    domain = world.add("Mail.Bücher.example.")
    assert domain.name == "mail.xn--bcher-kva.example"
    assert domain.status is DomainStatus.PENDING
    assert not domain.is_verified
    assert domain.verified_at is None
    assert domain.number == 1
    assert len(domain.verification_token) == 32
    assert domain.tracking_enabled is None
    (key,) = world.keys(domain.id)
    assert (key.selector, key.state, key.domain_id) == ("pr1", KeyState.ACTIVE, domain.id)
    assert key.activated_at == key.created_at


def test_the_operators_word_verifies_at_once(world: World) -> None:
    domain = world.add("a.example", verified=True)
    assert domain.is_verified
    assert domain.ownership_ok
    assert domain.dkim_ok
    assert not domain.spf_ok
    assert domain.verified_at == domain.created_at


def test_numbers_are_counted_for_each_organization_without_gaps_by_failure(world: World) -> None:
    other = world.of_organization(world.principal.organization_id + 1_000_000)
    assert world.add("a.example").number == 1
    with pytest.raises(Conflict):
        world.add("A.example")
    assert world.add("b.example").number == 2
    assert other.add("a.example").number == 1


def test_numbers_of_two_nouns_are_apart(world: World) -> None:
    organization_id = world.principal.organization_id
    take = accounts.next_number
    assert [world.database.write_now(take, organization_id, noun) for noun in ("x", "x", "y")] == [1, 2, 1]


@pytest.mark.parametrize(
    "name",
    ["", "localhost", "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "a..example", ".example", "-a.example",
     "a b.test", "a_b.example", "a.example/x", "a.example\n.test", "x" * 64 + ".example",
     "abcdefg." * 40 + "example", "a.1", "ü" * 64 + ".example"],
)  # fmt: skip
def test_what_is_no_full_host_name_is_invalid(world: World, new_key: NewKey, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        world.database.write_now(add, world.principal, name, key=new_key)
    assert refused.value.facts["field"] == "domain"


def test_of_many_who_add_one_name_at_once_one_has_it(world: World) -> None:
    def attempt(_: int) -> str:
        try:
            return world.add("a.example").name
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, range(8))) == ["a.example"] + ["conflict"] * 7
    assert world.add("b.example").number == 2


def test_the_plan_limits_how_many(world: World, new_key: NewKey) -> None:
    world.add("a.example")
    with pytest.raises(PlanLimitReached):
        world.database.write_now(add, world.principal, "b.example", key=new_key, limit=1)
    world.database.write_now(add, world.principal, "b.example", key=new_key, limit=2)
    assert len(world.database.read_now(find.list_domains, world.principal)) == 2


def test_a_domain_is_found_by_id_name_and_number(world: World) -> None:
    domain = world.add("a.example")
    read, principal = world.database.read_now, world.principal
    assert read(find.get, principal, domain.id) == domain
    assert read(find.by_name, principal, "a.example") == domain
    assert read(find.by_number, principal, 1) == domain


def test_another_organization_finds_removes_and_signs_with_nothing(world: World) -> None:
    domain = world.add("a.example", verified=True)
    stranger = Principal(world.principal.organization_id + 1_000_000)
    read, write = world.database.read_now, world.database.write_now
    with pytest.raises(NotFound):
        read(find.get, stranger, domain.id)
    with pytest.raises(NotFound):
        read(find.by_name, stranger, domain.name)
    with pytest.raises(NotFound):
        read(find.by_number, stranger, domain.number)
    with pytest.raises(NotFound):
        write(remove, stranger, domain.id)
    assert read(find.list_domains, stranger) == []
    assert read(find.keys_of, stranger, domain.id) == []
    assert read(find.find_verified, [(stranger.organization_id, domain.name)]) == {}
    assert read(find.first_verified, stranger.organization_id) is None
    assert read(find.signing_keys, [(stranger.organization_id, domain.id)]) == {}
    assert world.keys(domain.id)


def test_a_credential_needs_the_scope(world: World, new_key: NewKey) -> None:
    reader = replace(world.principal, scopes=frozenset({"domains:read"}))
    assert world.database.read_now(find.list_domains, reader) == []
    with pytest.raises(Forbidden):
        world.database.write_now(add, reader, "a.example", key=new_key)
    with pytest.raises(Forbidden):
        world.database.read_now(find.list_domains, replace(reader, scopes=frozenset()))


def test_a_list_is_paged_by_number(world: World) -> None:
    added = [world.add(f"{name}.example") for name in "cab"]
    read = world.database.read_now
    assert read(find.list_domains, world.principal) == added
    assert read(find.list_domains, world.principal, after=1, limit=1) == added[1:2]


def test_a_removed_domain_is_gone_with_its_keys_and_its_number_stays_taken(world: World) -> None:
    domain = world.add("a.example")
    world.database.write_now(remove, world.principal, domain.id)
    assert world.keys(domain.id) == []
    with pytest.raises(NotFound):
        world.database.write_now(remove, world.principal, domain.id)
    assert world.add("a.example").number == 2


def test_sending_finds_verified_names_exactly(world: World) -> None:
    world.add("pending.example")
    verified = world.add("a.example", verified=True)
    names = ["a.example", "a.example", "sub.a.example", "pending.example", "none.example"]
    organization_id = world.principal.organization_id
    asked = [(organization_id, name) for name in names]
    found = world.database.read_now(find.find_verified, asked)
    assert found == {(organization_id, "a.example"): verified}


def test_the_first_verified_is_the_oldest(world: World) -> None:
    organization_id = world.principal.organization_id
    world.add("pending.example")
    assert world.database.read_now(find.first_verified, organization_id) is None
    first = world.add("b.example", verified=True)
    world.add("a.example", verified=True)
    assert world.database.read_now(find.first_verified, organization_id) == first


def test_signing_keys_come_for_many_domains_and_open_to_private_keys(world: World) -> None:
    domains = [world.add("a.example", algorithm=Algorithm.RSA), world.add("b.example")]
    organization_id = world.principal.organization_id
    asked = [
        (organization_id, domain_id) for domain_id in [domains[0].id, domains[1].id] * 2 + [ids.new_id()]
    ]
    found = world.database.read_now(find.signing_keys, asked)
    assert set(found) == {domain.id for domain in domains}
    for domain, algorithm in zip(domains, (Algorithm.RSA, Algorithm.ED25519), strict=True):
        ((selector, kept_algorithm, sealed, key_id, name, _),) = found[domain.id]
        assert (selector, kept_algorithm, name) == ("pr1", algorithm, domain.name)
        load_der_private_key(world.sealer.unseal(sealed, key_id), None)


def test_two_hundred_names_are_found_in_one_batch(world: World) -> None:
    verified = world.add("a.example", verified=True)
    names = [f"n{number}.example" for number in range(200)] + ["a.example"]
    organization_id = world.principal.organization_id
    found = world.database.read_now(find.find_verified, [(organization_id, name) for name in names])
    assert found == {(organization_id, "a.example"): verified}
