"""The grammar of what a route asks for."""

class RouteError(ValueError):
    """A route that is malformed or that no request could ever match."""

    field: str
    """The argument of `Router.add` at fault: "path", "host", "methods" or "headers"; empty if none is."""
    def __init__(self, message: str, field: str = "") -> None: ...
