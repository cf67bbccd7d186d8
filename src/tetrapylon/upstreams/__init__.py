"""From an upstream's settings to its targets, and what keeps them fresh while they serve."""
