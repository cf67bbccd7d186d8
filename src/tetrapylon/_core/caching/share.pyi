"""A share of what comes, drawn at random: for compiled code alone."""

import os as os
