"""An assessment as people read it: in a terminal, and as one HTML page with plots."""
