"""What makes parts of this repository out of other parts; nothing of it is shipped."""
