"""Amounts by key: who has used how much."""
