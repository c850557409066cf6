"""One dialect: its commands, paths, words, errors and limits; nothing of it is known outside."""

from postrider.surfaces.octeth.app import SURFACE

__all__ = ["SURFACE"]
