"""From claimed messages to jobs: contents, keys, organizations, suppression; a query for each kind of thing.

What many messages share (a prepared content, a parsed key) is kept in a bounded memory.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from postrider.db.database import Tx
from postrider.engine import accounts, content, domains, messages, suppression
from postrider.engine.accounts import Organization, OrganizationStatus
from postrider.engine.delivery.dkim import Key, load_key
from postrider.engine.delivery.model import Job
from postrider.engine.domains import SigningKey
from postrider.engine.messages import Claimed, Content, Stream
from postrider.engine.suppression.rules import Going
from postrider.kit.address import domain_of
from postrider.kit.ids import RowId
from postrider.kit.seal import Sealer

CONTENTS_MAX = 2_000
CONTENTS_MAX_BYTES = 64 * 1024 * 1024
KEYS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the store said; `keys` by sending domain."""

    contents: dict[RowId, tuple[Content, bytes | None, dict[bytes, bytes]]]
    keys: dict[RowId, list[SigningKey]]
    organizations: dict[int, Organization]
    entries: dict[tuple[int, str], list[suppression.Entry]]


def load(tx: Tx, claimed: Sequence[Claimed], known: frozenset[RowId]) -> Loaded:
    """Read what the jobs of `claimed` need; contents in `known` are remembered and not read again."""
    wanted = {(c.organization_id, c.content_id) for c in claimed if c.content_id not in known}
    found = messages.contents(tx, list(wanted)) if wanted else {}
    bodies = messages.bodies(tx, list(wanted)) if wanted else {}
    hashes = [(c.organization_id, ref.hash) for c in found.values() for ref in c.attachments]
    files = messages.load_attachments(tx, hashes) if hashes else {}
    pairs = sorted({(c.organization_id, c.domain_id) for c in claimed if c.domain_id is not None})
    return Loaded(
        contents={
            id_: (
                c,
                bodies.get(id_),
                {ref.hash: files[ref.hash] for ref in c.attachments if ref.hash in files},
            )
            for id_, c in found.items()
        },
        keys=domains.signing_keys(tx, pairs),
        organizations=accounts.organizations(tx, [c.organization_id for c in claimed]),
        entries=suppression.check(tx, [(c.organization_id, c.address_key) for c in claimed]),
    )


class Library:
    """Prepared contents and parsed keys, the most recently used of them."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._contents: OrderedDict[RowId, tuple[Content, content.Prepared | None]] = OrderedDict()
        self._bytes = 0
        self._keys: dict[RowId, Key] = {}

    def known(self, claimed: Sequence[Claimed]) -> frozenset[RowId]:
        """The contents of `claimed` that need not be read."""
        return frozenset([each.content_id for each in claimed if each.content_id in self._contents])

    def jobs(self, claimed: Sequence[Claimed], loaded: Loaded) -> list[Job]:
        """The jobs of claimed messages, in order; left out: those whose content the memory lost meanwhile."""
        for content_id, (found, body, files) in loaded.contents.items():
            prepared = None if body is None else content.prepare(found, body, files)
            self._keep(content_id, found, prepared)
        jobs = [self._job(each, loaded) for each in claimed if each.content_id in self._contents]
        self._shrink()
        return jobs

    def _job(self, claimed: Claimed, loaded: Loaded) -> Job:
        found, prepared = self._contents[claimed.content_id]
        self._contents.move_to_end(claimed.content_id)
        organization = loaded.organizations.get(claimed.organization_id)
        signing = loaded.keys.get(claimed.domain_id or b"", ())
        return Job(
            claimed=claimed,
            content=found,
            prepared=prepared,
            keys=tuple(self._key(key) for key in signing),
            domain=domain_of(found.from_address),
            is_active=organization is not None and organization.status is OrganizationStatus.ACTIVE,
            return_path=signing[0].return_path if signing else None,
            suppressed=_suppressed(claimed, found, organization, loaded),
        )

    def _key(self, signing: SigningKey) -> Key:
        key = self._keys.get(signing.key_id)
        if key is None:
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            der = self._sealer.unseal(signing.sealed, signing.key_id)
            key = load_key(der, domain=signing.domain, selector=signing.selector)
            self._keys[signing.key_id] = key
        return key

    def _keep(self, content_id: RowId, found: Content, prepared: content.Prepared | None) -> None:
        if content_id not in self._contents:
            self._bytes += found.size_bytes
        self._contents[content_id] = (found, prepared)

    def _shrink(self) -> None:
        while len(self._contents) > CONTENTS_MAX or self._bytes > CONTENTS_MAX_BYTES:
            _, (found, _) = self._contents.popitem(last=False)
            self._bytes -= found.size_bytes


def _suppressed(
    claimed: Claimed, found: Content, organization: Organization | None, loaded: Loaded
) -> str | None:
    entries = loaded.entries.get((claimed.organization_id, claimed.address_key))
    if not entries or organization is None:
        return None
    going = Going(
        claimed.domain_id,
        claimed.stream.name.lower(),
        is_transactional=claimed.stream is Stream.TRANSACTIONAL,
        is_platform=bool(found.headers.get("platform")),
    )
    verdict, reason = suppression.decide(
        entries, going, optouts_stop_transactional=organization.settings.optouts_stop_transactional
    )
    return None if verdict is suppression.Verdict.FREE else reason
