"""Who asks, for which organization, with which scopes. Every engine call that acts for somebody takes one."""

from dataclasses import dataclass

from postrider.engine.errors import Forbidden
from postrider.kit.ids import RowId

ALL_SCOPES = "*"


@dataclass(frozen=True, slots=True)
class Principal:
    organization_id: int
    credential_id: RowId | None = None
    user_id: RowId | None = None
    scopes: frozenset[str] = frozenset({ALL_SCOPES})
    surface: str = ""  # through which door
    domain_id: RowId | None = None  # the one sending domain that From must use

    def require(self, scope: str) -> None:
        """Raises Forbidden unless the credential has the scope, or `*`, or the scope's noun with `:*`."""
        noun = scope.partition(":")[0]
        if not self.scopes & {scope, ALL_SCOPES, f"{noun}:*"}:
            raise Forbidden(scope=scope)
