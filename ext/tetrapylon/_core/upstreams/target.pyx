from libc.stdint cimport uint64_t

from tetrapylon._core.net.tls cimport Tls
from tetrapylon._core.shared.board cimport Board, bump, load

from hashlib import blake2b


cdef class Target:
    def __init__(self, str name not None, *, bytes host not None, int weight=1, addresses=(), Tls tls=None,
                 int priority=0, str zone not None=""):
        self.name = name
        self.label = name.encode()
        self.host = host
        self.weight = weight
        self.addresses = list(addresses)
        self.tls = tls
        self.priority = priority
        self.zone = zone
        self.fit = True
        self.share = <long>weight * SHARE_ONE
        self.key = int.from_bytes(blake2b(self.label, digest_size=8).digest(), "little")

    def set_addresses(self, list addresses not None):
        """Replace the addresses; connections that are open stay."""
        self.addresses = list(addresses)
        if self.board is not None:
            bump(self.board)

    @property
    def override(self):
        cdef uint64_t weight = load(&self.slot.weight) if self.slot is not NULL else 0
        return None if weight == 0 else weight - 1

    cdef int join(self, Board board, str upstream) except -1:
        self.slot = board.claim(upstream, self.name)
        self.board = board
        self.token = blake2b(self.label, digest_size=8, key=upstream.encode()[:64]).hexdigest().encode()
        return 0
