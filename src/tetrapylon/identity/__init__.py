"""What identity policies need that does not run on every request: keys, tokens, passwords, stores.

The policies are handed these objects by their `build`; nothing here knows of exchanges or sockets.
"""
