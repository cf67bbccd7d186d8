"""The experiment: Tetrapylon and its peers side by side, and the budgets that keep it fast."""
