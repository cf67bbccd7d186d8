"""Whose request it is, when proxies that are trusted have passed it on."""
