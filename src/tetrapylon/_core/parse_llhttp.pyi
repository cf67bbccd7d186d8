"""The first backend: llhttp by its C callbacks, found in httptools' extension module at import."""

from tetrapylon._core.message import Backend, Parser

misfit: str | None
"""Why the llhttp of the installed httptools cannot be used, or None."""

class LlhttpParser(Parser):
    """llhttp itself, without Python in between."""

class LlhttpBackend(Backend):
    """To be used where `misfit` is None."""
