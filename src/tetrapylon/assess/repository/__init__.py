"""What a git repository of the gateway's code says: who knows it, and how many workers it starts."""
