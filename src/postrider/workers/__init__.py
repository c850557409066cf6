"""What runs by itself: delivering, following, jobs, timers. Each claims, settles, stops cleanly."""
