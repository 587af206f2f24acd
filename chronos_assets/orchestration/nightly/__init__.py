"""What runs by itself: the schedule, the sensors, the workers of a backfill, retries, and the summary of a night."""
