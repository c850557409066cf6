"""What a customer may choose for a domain, and what is no choice."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.engine.domains.world import ALL_OK, World

from postrider.engine.domains.model import Domain, Purpose
from postrider.engine.domains.rules import records
from postrider.engine.domains.update import update
from postrider.engine.errors import Forbidden, Invalid, NotFound
from postrider.engine.principal import Principal


def change(world: World, domain: Domain, **switches: Any) -> Domain:
    return world.database.write_now(update, world.principal, domain.id, **switches)


def test_a_switch_is_on_off_or_inherited_and_the_others_stay(world: World) -> None:
    domain = change(world, world.add("a.example"), open_tracking_enabled=False, tracking_enabled=True)
    assert (domain.tracking_enabled, domain.open_tracking_enabled) == (True, False)
    assert domain.click_tracking_enabled is None
    domain = change(world, domain, open_tracking_enabled=None, unsubscribe_header_enabled=False)
    assert (domain.tracking_enabled, domain.open_tracking_enabled) == (True, None)
    assert domain.unsubscribe_header_enabled is False
    assert change(world, domain) == domain


def test_another_return_path_is_unproved_until_it_is_found(world: World) -> None:
    domain = world.check(world.add("a.example"), ALL_OK)
    assert (domain.return_path_label, domain.return_path_ok) == ("bounces", True)
    assert change(world, domain, return_path_label="Bounces").return_path_ok, "it is the same"
    moved = change(world, domain, return_path_label=" RP-1 ")
    assert (moved.return_path_label, moved.return_path_ok, moved.is_verified) == ("rp-1", False, True)
    record = next(r for r in records(moved, [], "mx.example") if r.purpose is Purpose.RETURN_PATH)
    assert (record.name, record.verified) == ("rp-1.a.example", False)
    assert world.check(moved, ALL_OK).return_path_ok


@pytest.mark.parametrize("label", ["", "a.b", "-a", "a-", "a_b", "ü", "a b", "a\nb", "a\0", "x" * 64])
def test_what_is_no_label_is_invalid(world: World, label: str) -> None:
    domain = world.add("a.example")
    with pytest.raises(Invalid) as refused:
        change(world, domain, return_path_label=label)
    assert refused.value.facts["field"] == "return_path_label"


def test_a_label_must_fit_before_its_domain(world: World) -> None:
    domain = world.add(".".join(["x" * 48] * 5))
    assert change(world, domain, return_path_label="y" * 8).return_path_label == "y" * 8
    with pytest.raises(Invalid):
        change(world, domain, return_path_label="y" * 9)


def test_a_provider_is_a_line(world: World) -> None:
    domain = world.add("a.example")
    assert change(world, domain, hosting_provider=" Hetzner ").hosting_provider == "Hetzner"
    assert change(world, domain, tracking_enabled=None).hosting_provider == "Hetzner"
    for empty in ("", None):
        assert change(world, domain, hosting_provider=empty).hosting_provider is None
    for wrong in ("a\nb", "a\0b", "x" * 101, "\ud800"):
        with pytest.raises(Invalid):
            change(world, domain, hosting_provider=wrong)


def test_a_foreign_domain_is_not_changed_nor_one_without_the_scope(world: World) -> None:
    domain = world.add("a.example")
    stranger = Principal(world.principal.organization_id + 1_000_000)
    with pytest.raises(NotFound):
        world.database.write_now(update, stranger, domain.id, tracking_enabled=False)
    reader = replace(world.principal, scopes=frozenset({"domains:read"}))
    with pytest.raises(Forbidden):
        world.database.write_now(update, reader, domain.id, tracking_enabled=False)
    assert change(world, domain) == domain
