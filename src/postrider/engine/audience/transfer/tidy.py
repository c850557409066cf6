"""What goes after its time: files of exports, imports with their errors, files that no row names."""

import asyncio

from postrider.db.database import Database
from postrider.engine.audience.transfer import store
from postrider.engine.audience.transfer.files import EXPORTS, IMPORTS, File, Folder
from postrider.kit import clock

IMPORT_KEPT_MS = 30 * clock.DAY
AT_ONCE = 100


async def drop_expired(db: Database, folder: Folder) -> int:
    """Exports whose link has expired; answers how many. Another node's file goes as an orphan there."""
    dropped = 0
    while expired := await db.read(store.expired_exports, AT_ONCE):
        for organization_id, export_id, path in expired:
            if path is not None:
                await asyncio.to_thread(folder.remove, path)
            await db.write(store.drop_export, organization_id, export_id)
        dropped += len(expired)
    return dropped


async def drop_old_imports(db: Database, organization_id: int) -> int:
    """Imports that ended IMPORT_KEPT_MS ago; answers how many."""
    dropped = 0
    before = clock.now_ms() - IMPORT_KEPT_MS
    while ended := await db.read(store.ended_imports, organization_id, before):
        for import_id in ended:
            while await db.write(store.drop_errors, organization_id, import_id):
                continue
            await db.write(store.drop_import, organization_id, import_id)
        dropped += len(ended)
    return dropped


async def drop_orphans(db: Database, folder: Folder) -> int:
    """Files that no row names: uploads that were cut off by a kill, and the like; answers how many."""
    found: list[File] = []
    for kind in (IMPORTS, EXPORTS):
        found += await asyncio.to_thread(folder.old_files, kind)
    dropped = 0
    for start in range(0, len(found), AT_ONCE):
        part = found[start : start + AT_ONCE]
        named = await db.read(store.named_files, [(file.organization_id, file.row_id) for file in part])
        for file in part:
            if file.path not in named:
                await asyncio.to_thread(folder.remove, file.path)
                dropped += 1
    return dropped
