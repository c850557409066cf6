"""The console as one key's holder uses it, held to its contract."""

from typing import Any

import httpx2
from tests.contract.walk import load, missing_keys
from tests.factories import Running

CONTRACT = load("console")
Json = dict[str, Any]


class Client:
    """What stands in an operation's path is filled in, the rest of `given` goes into the query."""

    def __init__(self, node: Running, http: httpx2.AsyncClient) -> None:
        self.node = node
        self.http = http
        self.key = node.account.keys["console"]

    async def call(
        self, name: str, refused: int = 0, *, key: str = "", body: Any = None, **given: Any
    ) -> Json:
        """The answer, which has the contract's status, or the documented one it is `refused` with."""
        operation = CONTRACT[name]
        path = operation.paths[0].format(**given)
        query = {field: value for field, value in given.items() if f"{{{field}}}" not in operation.paths[0]}
        answer = await self.http.request(
            operation.method,
            "/console" + path,
            params=query,
            json=body,
            headers={"Authorization": f"Bearer {key or self.key}"},
        )
        assert answer.status_code == (refused or operation.status), answer.text
        assert not refused or refused in operation.errors, f"{name}: {refused} is not documented"
        told: Json = answer.json()
        return told

    async def walk(self, name: str, **given: Any) -> Json:
        """As call; no key of the contract is missing."""
        body = await self.call(name, **given)
        assert not missing_keys(body, CONTRACT[name].keys), body
        return body
