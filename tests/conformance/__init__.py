"""What HTTP/1.1 asks of a proxy, as a table of cases, and what runs them against any proxy.

`case` is the vocabulary, `cases/` the table, `origin` and `run` what stands at both ends of the proxy.
"""
