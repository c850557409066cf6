"""The store: one Database for SQLite and PostgreSQL, the statements that differ, the leases of workers."""
