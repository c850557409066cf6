"""One dialect: its paths, words, errors and limits; nothing of it is known outside."""
