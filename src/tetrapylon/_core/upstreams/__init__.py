"""Connections to targets: which one, by which rules, and what when it fails."""
