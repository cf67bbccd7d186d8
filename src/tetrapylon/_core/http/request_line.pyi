"""What a request asks for: its target made normal, its Host held valid."""
