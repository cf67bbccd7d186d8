"""The admin address: liveness, readiness, metrics."""
