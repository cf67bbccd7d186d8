"""The compiled route table; nothing of it is seen by Python."""
