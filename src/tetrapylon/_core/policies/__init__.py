"""Compiled policies, one a module."""
