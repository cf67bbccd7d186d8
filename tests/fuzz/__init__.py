"""Fuzzing the data plane: mutated requests and responses through an embedded gateway, judged by what is said.

Nothing here knows the gateway's parser. What a byte stream means is read by the strict reader of the harness
(`reference`); what an upstream received must be that, and h11 and httptools must see it the same way; what a
client received must be the answer to its own request. `python -m tests.fuzz --help` runs it.
"""
