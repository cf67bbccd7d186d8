"""Hosted apps: a process that runs their servers, watches them and tells what they say.

`host` runs `hosted` apps, each in processes of its own (`server`, whose program `servers` knows); in those
run `launch`, then `wsgi` or `asgi`. Nothing here is imported where no app is hosted.
"""
