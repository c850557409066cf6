"""Where settings come from, which goes first, and what is refused."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from postrider.cli import app
from postrider.engine.sending.routes import Delivery
from postrider.settings import Settings, load


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("POSTRIDER_")]:
        monkeypatch.delenv(name)


def test_a_fresh_installation_listens_here_only_and_sends_nothing_out() -> None:
    settings = load()
    assert (settings.http_host, settings.smtp_host) == ("127.0.0.1", "127.0.0.1")
    assert settings.delivery is Delivery.CAPTURE
    assert not settings.trusted_networks
    assert not settings.delivery_allow_private


def test_the_store_is_sqlite_in_the_data_directory_unless_a_url_is_given(tmp_path: Path) -> None:
    assert load(data_dir=tmp_path).store_url == f"sqlite:///{tmp_path.resolve() / 'postrider.db'}"
    assert load(database_url="postgresql://host/name").store_url == "postgresql://host/name"


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "postrider.toml"
    file.write_text('hostname = "file.example"\nhttp_port = 9000\n')
    monkeypatch.setenv("POSTRIDER_CONFIG", str(file))
    monkeypatch.setenv("POSTRIDER_HTTP_PORT", "9001")
    settings = load()
    assert (settings.hostname, settings.http_port) == ("file.example", 9001)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "eighty"),
        ("DELIVERY", "pigeon"),
        ("LOG_FORMAT", "xml"),
        ("SITE_CONNECTIONS", "0"),
        ("RELAY_CONNECTIONS", "1001"),
        ("DELIVERY", "direct"),
        ("DELIVERY", "relay"),  # without a RELAY_URL
    ],
)
def test_what_a_setting_cannot_be_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"POSTRIDER_{name}", value)
    with pytest.raises(ValidationError):
        load()


def test_a_relay_needs_its_url() -> None:
    relay = "smtp+tls://relay.example:587"
    assert load(delivery="relay", relay_url=relay).relay_url == relay
    with pytest.raises(ValidationError, match="must read smtp"):
        load(delivery="relay", relay_url="https://relay.example")


def test_the_command_line_names_the_variable_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTRIDER_HTTP_PORT", "eighty")
    result = CliRunner().invoke(app, ["migrate"])
    assert result.exit_code == 2
    assert result.stderr.startswith("POSTRIDER_HTTP_PORT: ")


def test_links_lead_to_the_public_url_or_to_this_machine() -> None:
    assert load(http_port=8081).base_url == "http://localhost:8081"
    assert load(public_url="https://mail.example/").base_url == "https://mail.example"


def test_resolvers_and_trusted_networks_are_lists_of_pairs() -> None:
    settings = load(dns_servers="127.0.0.1:5353, [::1]:53,", smtp_trust="10.0.0.0/8=load@example.test")
    assert settings.resolvers == [("127.0.0.1", 5353), ("::1", 53)]
    assert settings.trusted_networks == [("10.0.0.0/8", "load@example.test")]


def test_settings_do_not_change_once_they_are_read() -> None:
    settings: Settings = load()
    with pytest.raises(ValidationError):
        settings.http_port = 1
