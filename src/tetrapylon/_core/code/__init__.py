"""Users' own Python: handlers, plugins, aggregates."""
