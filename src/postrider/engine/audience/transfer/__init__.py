"""Contacts in and out of files. A page and its place are one transaction: kills neither skip nor repeat."""

from postrider.engine.audience.transfer.exports import find_file, get_export, start_export
from postrider.engine.audience.transfer.files import Folder, Incoming
from postrider.engine.audience.transfer.forget import forget
from postrider.engine.audience.transfer.imports import (
    Outcome,
    get_import,
    import_many,
    list_errors,
    list_imports,
    prepare,
    start_import,
)
from postrider.engine.audience.transfer.model import (
    Column,
    Export,
    ExportFormat,
    ExportPlan,
    Import,
    ImportPlan,
    RowError,
    Tally,
)
from postrider.engine.audience.transfer.render import harmless
from postrider.engine.audience.transfer.store import is_exported_since

__all__ = [
    "Column",
    "Export",
    "ExportFormat",
    "ExportPlan",
    "Folder",
    "Import",
    "ImportPlan",
    "Incoming",
    "Outcome",
    "RowError",
    "Tally",
    "find_file",
    "forget",
    "get_export",
    "get_import",
    "harmless",
    "import_many",
    "is_exported_since",
    "list_errors",
    "list_imports",
    "prepare",
    "start_export",
    "start_import",
]
