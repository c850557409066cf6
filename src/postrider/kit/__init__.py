"""What any program could use: time, ids, addresses, MIME, seals. Knows nothing of accounts or sending."""
