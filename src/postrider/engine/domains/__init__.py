"""Sending domains: adding, proving and removing them, the records to publish, the keys that sign for them."""
