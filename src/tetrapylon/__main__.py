"""`python -m tetrapylon` is the command `tetrapylon`."""

import sys

from tetrapylon.cli import main

sys.exit(main())
