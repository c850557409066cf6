"""What every dialect offers alike: a description of its routes, a page of them, a line to paste."""

import asyncio
import json
import shlex

import httpx2
import pytest
from tests.factories import DOMAIN, Running

from postrider.app import SURFACES
from postrider.engine import accounts
from postrider.surfaces.common.services import Surface

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
EACH = pytest.mark.parametrize("surface", SURFACES, ids=[surface.name for surface in SURFACES])
DIALECTS = [surface for surface in SURFACES if surface.curl is not None]


@SQLITE
@EACH
async def test_openapi_and_docs_are_served_under_the_mount_without_foreign_hosts(
    node: Running, surface: Surface
) -> None:
    async with httpx2.AsyncClient(base_url=f"{node.base_url}/{surface.name}") as client:
        document = (await client.get("/openapi.json")).json()
        page = (await client.get("/docs")).text
        assert document["servers"][0]["url"].startswith(f"/{surface.name}")
        assert document["paths"]
        assert "http" not in page
        for host in surface.hosts:
            bare = await client.get(f"{node.base_url}/openapi.json", headers={"Host": host})
            assert bare.json()["paths"] == document["paths"]
            assert surface.name not in bare.json()["servers"][0]["url"]


@SQLITE
@pytest.mark.parametrize("surface", DIALECTS, ids=[surface.name for surface in DIALECTS])
async def test_the_line_of_curl_works_as_it_is_pasted(node: Running, surface: Surface) -> None:
    of_domain = await node.database.write(
        accounts.create_domain_keys, node.principal, node.domain.id, surface.keys, node.sealer
    )
    assert surface.curl is not None
    key = (node.account.keys | of_domain)[surface.curl_key or surface.name]
    line = surface.curl(node.base_url, key, DOMAIN)
    process = await asyncio.create_subprocess_exec(
        *shlex.split(line), "--write-out", "\\n%{http_code}", stdout=asyncio.subprocess.PIPE
    )
    body, _, status = (await process.communicate())[0].decode().rpartition("\n")
    assert status in ("200", "201", "202"), body
    assert json.loads(body)
