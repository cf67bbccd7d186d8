"""From method, host and path to a route."""
