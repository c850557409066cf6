"""One dialect: its paths, words, errors and limits; nothing of it is known outside."""

from postrider.surfaces.penguinmails.app import SURFACE

__all__ = ["SURFACE"]
