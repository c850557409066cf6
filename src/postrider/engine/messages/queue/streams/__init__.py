"""An organization's streams, stopped and let go whole."""
