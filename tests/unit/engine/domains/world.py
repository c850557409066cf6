"""One organization in a store, and what its tests do again and again."""

from dataclasses import dataclass, replace

from postrider.db.database import Database
from postrider.engine.domains import find, keys
from postrider.engine.domains.add import add
from postrider.engine.domains.model import Algorithm, Check, Checks, DkimKey, Domain, Verdict
from postrider.engine.domains.verify import apply_checks
from postrider.engine.principal import Principal
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer

OK = Check(Verdict.OK)
MISSING = Check(Verdict.MISSING, "There is none.")
WRONG = Check(Verdict.WRONG, "It is another.")
UNKNOWN = Check(Verdict.UNKNOWN, "Nobody answered.")
ALL_OK = Checks(OK, OK, OK, OK, OK)


@dataclass(frozen=True)
class World:
    database: Database
    sealer: Sealer
    principal: Principal

    def of_organization(self, organization_id: int) -> "World":
        return replace(self, principal=Principal(organization_id))

    def add(self, name: str, *, algorithm: Algorithm = Algorithm.ED25519, verified: bool = False) -> Domain:
        key = keys.generate(self.sealer, algorithm)
        return self.database.write_now(add, self.principal, name, key=key, verified=verified)

    def check(self, domain: Domain, checks: Checks, now: int = 1) -> Domain:
        return self.database.write_now(apply_checks, self.principal, domain.id, checks, now)

    def keys(self, domain_id: RowId) -> list[DkimKey]:
        return self.database.read_now(find.keys_of, self.principal, domain_id)
