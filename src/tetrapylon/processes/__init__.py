"""The gateway's family of processes: how one is born, what they say, how all take on a config."""
