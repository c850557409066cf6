"""The ways in: thin layers that check credentials, parse, call the engine and present."""
