"""The messages of one campaign in the queue: laid aside, found again, watched."""
