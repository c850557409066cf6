"""What every HTTP surface shares: the services it calls, the request's body, credentials and errors as values."""
