"""Certificates for configs, made once."""

import tempfile
from pathlib import Path

from tests.harness.secure import Authority

_directory = tempfile.TemporaryDirectory(prefix="certificates-")
DIRECTORY = Path(_directory.name)
CA = Authority(DIRECTORY)
OWN = CA.issue("one.test", common_name="one")
OTHER = CA.issue("two.test", common_name="two")
