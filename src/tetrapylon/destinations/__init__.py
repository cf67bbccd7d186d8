"""Where a route leads beside a single upstream, and who looks on: from the settings to the compiled parts."""
