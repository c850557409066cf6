"""Sites and their lanes: the places where messages wait."""
