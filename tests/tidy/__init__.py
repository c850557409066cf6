"""What the layout promises, proved on the syntax trees of the sources; nothing here imports Postrider."""
