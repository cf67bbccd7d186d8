"""Lets one venv use what is installed in another, except its editable installs. Usage: share_site.py FROM TO

A .pth file found by way of another .pth file is not processed, so editable installs of FROM stay invisible.
"""

import sys
from pathlib import Path

shared, user = (next(Path(venv).resolve().glob("lib/python3*/site-packages")) for venv in sys.argv[1:])
(user / "shared.pth").write_text(f"{shared}\n", encoding="utf-8")
