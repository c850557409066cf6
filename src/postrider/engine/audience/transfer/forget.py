"""Taking a person out of what imports complained of, and of the files that exports wrote."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from postrider.db.database import Database
from postrider.engine.audience.transfer import store
from postrider.engine.audience.transfer.files import BUFFER_BYTES, Folder
from postrider.kit.ids import RowId

ERRORS_LOOKED_AT = 2_000  # in one read
EXPORTS_LOOKED_AT = 100


async def forget(db: Database, folder: Folder, organization_id: int, addresses: Sequence[str]) -> RowId:
    """Drop rows of import_errors and whole exports that hold one of some addresses.

    A file that is not in this folder cannot be looked into, so its export goes too: its link is dead, and its
    node clears the file away. Answers the id of the last export that was seen.
    """
    await _forget_errors(db, organization_id, [address.casefold() for address in addresses])
    needles = [address.encode().lower() for address in addresses]
    seen: RowId = b""
    while found := await db.read(store.exports_after, organization_id, seen, EXPORTS_LOOKED_AT):
        for each in found:
            if each.path is not None and await asyncio.to_thread(_holds, folder.at(each.path), needles):
                await asyncio.to_thread(folder.remove, each.path)
                await db.write(store.drop_export, organization_id, each.id)
        seen = found[-1].id
    return seen


async def _forget_errors(db: Database, organization_id: int, needles: Sequence[str]) -> None:
    after: tuple[RowId, int] = (b"", 0)
    while rows := await db.read(store.errors_after, organization_id, after, ERRORS_LOOKED_AT):
        theirs: dict[RowId, list[int]] = {}
        for import_id, number, content in rows:
            if any(needle in content.casefold() for needle in needles):
                theirs.setdefault(import_id, []).append(number)
        for import_id, numbers in theirs.items():
            for start in range(0, len(numbers), store.AT_ONCE):
                part = numbers[start : start + store.AT_ONCE]
                await db.write(store.forget_errors, organization_id, import_id, part)
        after = rows[-1][0], rows[-1][1]


def _holds(place: Path, needles: Sequence[bytes]) -> bool:
    """Whether a file holds one of them, in lower case; True for one that is not there."""
    overlap, tail = max(map(len, needles)), b""
    try:
        with place.open("rb") as file:
            while block := file.read(BUFFER_BYTES):
                text = tail + block.lower()
                if any(needle in text for needle in needles):
                    return True
                tail = text[-overlap:]
    except FileNotFoundError:
        return True
    return False
