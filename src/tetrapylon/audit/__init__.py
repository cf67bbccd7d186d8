"""What an experienced operator would object to in a config that is valid."""

from __future__ import annotations

from tetrapylon.audit.report import Finding, Report, audit, audit_file
from tetrapylon.audit.rule import RULES, Rule

__all__ = ["RULES", "Finding", "Report", "Rule", "audit", "audit_file"]
