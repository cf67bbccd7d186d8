"""What is sampled of the traffic, and requests that were recorded."""
