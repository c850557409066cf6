"""What every HTTP surface shares: the services it calls, a request's body, credentials, errors as values."""
