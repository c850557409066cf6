"""How many rows go into one write: as many as the others who wait for the store do not notice."""

from postrider.db.database import Database

ROWS_MAX = 1_000
ROWS_FIRST, ROWS_MIN = 100, 25
WRITE_S = 0.024  # of a write on SQLite, where the whole process waits for it


class Pace:
    """Learns from how long writes took; PostgreSQL's wait for nobody."""

    def __init__(self, db: Database) -> None:
        self._learns = db.is_sqlite
        self.rows = ROWS_FIRST if self._learns else ROWS_MAX

    def took(self, rows: int, seconds: float) -> None:
        """A write of so many rows took so long."""
        if not self._learns or not rows:
            return
        fitting = int(rows * WRITE_S / max(seconds, 1e-4))
        self.rows = max(ROWS_MIN, min(fitting, 2 * self.rows, ROWS_MAX))
