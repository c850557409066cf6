"""Keys that other software can use, and their change."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import dkim
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from tests.unit.engine.domains.world import ALL_OK, OK, World

from postrider.engine.domains import find, keys
from postrider.engine.domains.model import Algorithm, Check, Checks, DkimKey, Domain, KeyState, Verdict
from postrider.engine.domains.rotate import KEYS_MAX, activate, rotate
from postrider.engine.domains.rules import RETIRED_KEPT_MS, next_selector, records
from postrider.engine.errors import NotAllowedNow, NotFound
from postrider.kit import clock, ids
from postrider.kit.seal import Sealer

MAIL = b"From: a@a.example\r\nTo: b@b.example\r\nSubject: x\r\n\r\nHello\r\n"


def test_dkimpy_signs_with_the_key_and_verifies_by_the_published_record(world: World) -> None:
    domain = world.add("a.example", algorithm=Algorithm.RSA)
    (signing,) = world.database.read_now(find.signing_keys, [(domain.organization_id, domain.id)])[domain.id]
    private = load_der_private_key(world.sealer.unseal(signing.sealed, signing.key_id), None)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    published = {
        record.name + ".": record.value for record in records(domain, world.keys(domain.id), "mail.example")
    }
    signed = dkim.sign(MAIL, signing.selector.encode(), signing.domain.encode(), pem)
    assert dkim.verify(signed + MAIL, dnsfunc=lambda name, timeout=5: published[name.decode()].encode())


def test_an_ed25519_record_holds_the_bare_32_octets(sealer: Sealer) -> None:
    key = keys.generate(sealer, Algorithm.ED25519)
    private = load_der_private_key(sealer.unseal(key.sealed, key.id), None)
    assert isinstance(private, Ed25519PrivateKey)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key))
    public.verify(private.sign(MAIL), MAIL)


def test_a_private_key_opens_only_in_its_row(sealer: Sealer) -> None:
    key = keys.generate(sealer, Algorithm.ED25519)
    with pytest.raises(InvalidTag):
        sealer.unseal(key.sealed, ids.new_id())
    assert repr(key.sealed) not in repr(key)


def test_an_rsa_key_has_2048_bits(sealer: Sealer) -> None:
    key = keys.generate(sealer)
    assert key.algorithm is Algorithm.RSA
    private = load_der_private_key(sealer.unseal(key.sealed, key.id), None)
    assert isinstance(private, RSAPrivateKey)
    assert private.key_size == 2048


def test_the_next_key_is_published_before_it_signs(world: World) -> None:
    domain = world.add("a.example")
    coming = _rotate(world, domain)
    assert (coming.selector, coming.state) == ("pr2", KeyState.NEXT)
    assert _selectors_that_sign(world, domain) == ["pr1"]
    names = [record.name for record in records(domain, world.keys(domain.id), "mail.example")]
    assert {"pr1._domainkey.a.example", "pr2._domainkey.a.example"} <= set(names)


def test_activation_switches_and_keeps_the_old_key_published(world: World) -> None:
    domain = world.add("a.example")
    coming = _rotate(world, domain)
    active = _activate(world, domain, {coming.id: OK})
    assert (active.id, active.state) == (coming.id, KeyState.ACTIVE)
    assert active.activated_at is not None
    assert _selectors_that_sign(world, domain) == ["pr2"]
    old, new = world.keys(domain.id)
    assert (old.state, new.state) == (KeyState.RETIRED, KeyState.ACTIVE)
    assert old.retired_at == active.activated_at
    verdicts = {record.name: record.verified for record in records(domain, [old, new], "mail.example")}
    assert verdicts["pr1._domainkey.a.example"] is None
    assert verdicts["pr2._domainkey.a.example"] is False


def test_activation_keeps_what_was_found_of_the_keys_that_sign_now(world: World) -> None:
    domain = world.check(world.add("a.example"), ALL_OK)
    first, coming = world.keys(domain.id)[0], _rotate(world, domain)
    gone = Check(Verdict.MISSING, "It was replaced.")
    world.check(domain, replace(ALL_OK, dkim=gone))
    _activate(world, domain, {first.id: gone, coming.id: OK})
    now = world.database.read_now(find.get, world.principal, domain.id)
    assert (now.is_verified, now.dkim_ok, now.bad_checks) == (True, True, 0)


def test_an_unpublished_key_does_not_begin_to_sign(world: World) -> None:
    domain = world.add("a.example")
    coming = _rotate(world, domain)
    for known in ({}, {coming.id: Check(Verdict.MISSING, "no")}, {coming.id: Check(Verdict.UNKNOWN, "no")}):
        with pytest.raises(NotAllowedNow):
            _activate(world, domain, known)
    assert _selectors_that_sign(world, domain) == ["pr1"]


def test_one_next_key_at_a_time(world: World) -> None:
    domain = world.add("a.example")
    with pytest.raises(NotAllowedNow):
        _activate(world, domain, {})
    _rotate(world, domain)
    with pytest.raises(NotAllowedNow):
        _rotate(world, domain)


def test_of_many_who_rotate_at_once_one_has_its_key_published(world: World) -> None:
    domain = world.add("a.example")

    def attempt(_: int) -> str:
        try:
            return _rotate(world, domain).selector
        except NotAllowedNow:
            return "refused"

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, range(8))) == ["pr2"] + ["refused"] * 7


def test_an_ed25519_key_signs_beside_the_rsa_key(world: World) -> None:
    domain = world.add("a.example", algorithm=Algorithm.RSA)
    coming = _rotate(world, domain)
    _activate(world, domain, {coming.id: OK})
    assert _selectors_that_sign(world, domain) == ["pr1", "pr2"]


def test_selectors_are_not_used_again_and_retired_keys_are_forgotten(world: World) -> None:
    domain = world.add("a.example")
    for _ in range(2):
        _activate(world, domain, {_rotate(world, domain).id: OK})
    later = clock.now_ms() + RETIRED_KEPT_MS + clock.DAY
    clock.set_source(lambda: later)
    try:
        assert _rotate(world, domain).selector == "pr4"
    finally:
        clock.set_source(None)
    assert [key.selector for key in world.keys(domain.id)] == ["pr3", "pr4"]


def test_a_domain_has_so_many_keys_and_no_more(world: World) -> None:
    domain = world.add("a.example")
    for _ in range(KEYS_MAX - 1):
        _activate(world, domain, {_rotate(world, domain).id: OK})
    with pytest.raises(NotAllowedNow):
        _rotate(world, domain)


def test_a_foreign_domain_is_not_rotated(world: World) -> None:
    domain = world.add("a.example")
    with pytest.raises(NotFound):
        _rotate(world.of_organization(world.principal.organization_id + 1_000_000), domain)


def test_selectors_begin_at_one() -> None:
    assert next_selector([]) == "pr1"


def _rotate(world: World, domain: Domain) -> DkimKey:
    key = keys.generate(world.sealer, Algorithm.ED25519)
    return world.database.write_now(rotate, world.principal, domain.id, key=key)


def _activate(world: World, domain: Domain, found: dict[bytes, Check]) -> DkimKey:
    checks = Checks(ALL_OK.ownership, ALL_OK.spf, ALL_OK.dkim, ALL_OK.dmarc, ALL_OK.return_path, found)
    return world.database.write_now(activate, world.principal, domain.id, checks)


def _selectors_that_sign(world: World, domain: Domain) -> list[str]:
    found = world.database.read_now(find.signing_keys, [(domain.organization_id, domain.id)])
    return [key.selector for key in found[domain.id]]
