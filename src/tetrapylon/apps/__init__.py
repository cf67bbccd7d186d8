"""Hosted apps: a process that runs their servers, watches them and tells what they say.

Nothing here is imported where no app is hosted.
"""
