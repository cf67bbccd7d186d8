"""`tetrapylon assess` held against real gateways whose part of users' time is known."""
