"""Words in memory that all workers share."""
