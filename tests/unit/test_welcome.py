"""The first minute: the account is made once and kept private, and what is printed can be used."""

import stat
from pathlib import Path

import pytest

from postrider.app import SURFACES
from postrider.settings import Settings, load
from postrider.welcome import FILE, ensure_first_account, print_welcome


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("POSTRIDER_DATABASE_URL", raising=False)
    return load(data_dir=tmp_path / "data", http_port=18080, smtp_port=11587)


def test_the_first_account_is_made_once(settings: Settings) -> None:
    assert ensure_first_account(settings) == ensure_first_account(settings)


def test_its_secrets_are_for_their_owner_only(settings: Settings) -> None:
    ensure_first_account(settings)
    for name in (FILE, "master.key"):
        assert stat.S_IMODE((settings.data_dir / name).stat().st_mode) == 0o600


def test_what_is_printed_has_every_key_and_a_line_to_paste(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    account = ensure_first_account(settings)
    print_welcome(settings, account)
    said = capsys.readouterr().out
    assert all(key in said for key in account.keys.values())
    assert f"localhost:{settings.smtp_port}  {account.smtp_username}  {account.smtp_password}" in said
    lines = [line for line in said.splitlines() if line.startswith("curl ")]
    assert len(lines) == sum(surface.curl is not None for surface in SURFACES)
    assert all(settings.base_url in line for line in lines)
