"""What runs by itself: delivering, following, jobs, timers. All of it claims from tables, settles, and stops cleanly."""
