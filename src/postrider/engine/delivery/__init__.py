"""Mail on its way out: signing, the dialogue with the far end, what its answer means and what follows."""
