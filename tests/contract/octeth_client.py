"""A client of the dialect for its tests: commands by name with the account's key, mail by a sender's key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml
from tests.contract.walk import FOLDER
from tests.factories import DOMAIN, Running

CONTRACT = {
    operation["id"]: operation
    for operation in yaml.safe_load((Path(FOLDER) / "octeth.yaml").read_text())["operations"]
}
TIMEOUT_S = 30.0  # an RSA key is made beside other tests
MAIL: dict[str, Any] = {
    "Subject": "Hello",
    "ContentType": "html",
    "HtmlContent": "<p>Hello</p>",
    "From": {"email": f"shop@{DOMAIN}", "name": "Shop"},
    "To": [{"email": "ann@example.com", "name": "Ann"}],
}


@dataclass
class Client:
    """`key` goes with every command as APIKey, `sender` with every mail as bearer."""

    http: httpx2.AsyncClient
    key: str
    sender: str = ""
    numbers: dict[str, int] = field(default_factory=dict)

    async def ask(self, name: str, **parameters: Any) -> httpx2.Response:
        """A command as JSON; `APIKey=None` leaves the key out."""
        body = {"Command": name, "APIKey": self.key, **parameters}
        return await self.http.post("/api.php", json={n: v for n, v in body.items() if v is not None})

    async def done(self, name: str, **parameters: Any) -> dict[str, Any]:
        """The body of a command that must succeed."""
        body: dict[str, Any] = (await self.ask(f"EmailGateway.{name}", **parameters)).json()
        assert body["Success"] is True, body
        return body

    async def code(self, name: str, **parameters: Any) -> Any:
        """The ErrorCode of a command that must be refused."""
        answer = await self.ask(f"EmailGateway.{name}", **parameters)
        assert (answer.status_code, answer.json()["Success"]) == (200, False), answer.text
        return answer.json()["ErrorCode"]

    async def mail(self, **fields: Any) -> httpx2.Response:
        """MAIL with other fields; a None leaves one out."""
        body = {name: value for name, value in {**MAIL, **fields}.items() if value is not None}
        headers = {"Authorization": f"Bearer {self.sender}"}
        return await self.http.post("/api/v1/email", json=body, headers=headers)

    async def codes(self, **fields: Any) -> list[int]:
        """The numbers of a mail's errors, whose HTTP status is the first one's."""
        answer = await self.mail(**fields)
        told = [error["Code"] for error in answer.json()["Errors"]]
        assert answer.status_code == status_of(told[0]), answer.text
        return told


def status_of(code: int) -> int:
    """The HTTP status that the contract's table has for a number of the email operation."""
    documented = {error["code"]: error["status"] for error in CONTRACT["sendEmail"]["errors"]}
    return int(documented.get(code, code))


@asynccontextmanager
async def client_of(running: Running, key: str = "") -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(base_url=f"{running.base_url}/octeth", timeout=TIMEOUT_S) as http:
        yield Client(http, key or running.account.keys["octeth"])


@asynccontextmanager
async def sender_of(running: Running) -> AsyncIterator[Client]:
    """A client with a key of the account's verified domain, which has number 1."""
    async with client_of(running) as client:
        client.sender = (await client.done("AddAPI", DomainID=1, Description="Shop"))["APIKey"]["Key"]
        yield client
