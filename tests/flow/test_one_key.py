"""All nodes of an installation share one master key; one that has another refuses to start."""

from pathlib import Path

import pytest
from tests.factories import running_node

from postrider.app import Installation, WrongMasterKey
from postrider.settings import load


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_node_with_another_master_key_does_not_start(store_url: str, tmp_path: Path) -> None:
    async with running_node(store_url, tmp_path / "first"):
        other = Installation(load(data_dir=tmp_path / "second", database_url=store_url))
        with pytest.raises(WrongMasterKey, match="copy the file"):
            other.migrate()
        other.db.close()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_node_with_the_same_master_key_joins(store_url: str, tmp_path: Path) -> None:
    async with running_node(store_url, tmp_path / "first"):
        (tmp_path / "second").mkdir()
        (tmp_path / "second/master.key").write_text((tmp_path / "first/master.key").read_text())
        other = Installation(load(data_dir=tmp_path / "second", database_url=store_url))
        other.migrate()
        other.db.close()
