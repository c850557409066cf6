"""Where the files of imports and exports lie: a folder with a name, so that work goes where its files are.

Nodes that share the folder share its name and its work; a node with a folder of its own does its own.
"""

import contextlib
import os
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from postrider.kit.ids import ID_BYTES, RowId, new_id

IMPORTS, EXPORTS = "imports", "exports"
ID_HEX = 2 * ID_BYTES
NAME_CHARS = 16
BUFFER_BYTES = 256 * 1024
ORPHAN_AFTER_S = 24 * 3_600.0  # an upload under way has no row yet


class File(NamedTuple):
    """A file of a folder, and the row it is of."""

    path: str
    organization_id: int
    row_id: RowId


class Folder:
    """`imports` and `exports` below `path`, made when they are first needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The same for all who see this folder, and for nobody else."""
        file = self.path / "folder"
        if not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f"folder-{secrets.token_hex(4)}")
            draft.write_text(secrets.token_hex(NAME_CHARS // 2) + "\n")
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)  # of several nodes that start together one wins
            draft.unlink()
        return file.read_text().strip()

    def at(self, relative: str) -> Path:
        """What a row's `path` names."""
        return self.path / relative

    def remove(self, relative: str) -> None:
        self.at(relative).unlink(missing_ok=True)

    def old_files(self, kind: str) -> list[File]:
        """Those that nobody has written to for ORPHAN_AFTER_S."""
        found: list[File] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path / kind) as entries:
            for entry in entries:
                owner, _, rest = entry.name.partition("-")
                with contextlib.suppress(ValueError, FileNotFoundError):
                    if time.time() - entry.stat().st_mtime > ORPHAN_AFTER_S:
                        found.append(File(f"{kind}/{entry.name}", int(owner), bytes.fromhex(rest[:ID_HEX])))
        return found


class Incoming:
    """A file that is being taken in: gone again unless it is kept. Its calls are for a thread."""

    def __init__(self, folder: Folder, organization_id: int) -> None:
        self.folder = folder
        self.organization_id = organization_id
        self.id = new_id()
        self.path = path_of(IMPORTS, organization_id, self.id)
        self.size = 0
        self._is_kept = False
        place = folder.at(self.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._file = place.open("xb", BUFFER_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self._is_kept:
            self.folder.remove(self.path)

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)

    def close(self) -> None:
        """All is written and on disk."""
        sync(self._file)
        self._file.close()
        sync_folder(self.folder.at(self.path).parent)

    def replace(self, other: Path) -> None:
        """Take the text of another file instead, put on disk."""
        with other.open("rb+") as file:
            sync(file)
        place = self.folder.at(self.path)
        other.replace(place)
        sync_folder(place.parent)

    def keep(self) -> None:
        """A row names it from now on."""
        self._is_kept = True


def path_of(kind: str, organization_id: int, row_id: RowId) -> str:
    """Below the folder."""
    return f"{kind}/{organization_id}-{row_id.hex()}"


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """So that a new name in it is on disk too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
