"""The ASGI app that `TETRAPYLON_APP` names."""

from tetrapylon.apps.loaded import hosted

application = hosted()
