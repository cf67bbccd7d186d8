from tetrapylon._core.caching.draft cimport Asked
from tetrapylon._core.caching.store cimport Stored
from tetrapylon._core.policy cimport Policy
from tetrapylon._core.reactor cimport Timed, arm, disarm

cdef enum:
    WAITING = 10000         # requests that wait for one


cdef class Patience(Timed):
    cdef void timed_out(self) noexcept:
        self.policy.let_go(self.leader)


cdef class Errand(Asked):
    pass


cdef class Coalescing(Policy):
    def __cinit__(self, *_, **__):
        self.leaders = {}

    cdef void lead(self, Errand errand) noexcept:
        errand.leads = True
        errand.waiting = []
        self.leaders[errand.name] = errand

    cdef bint follow(self, Errand leader, Errand errand) noexcept:
        if len(leader.waiting) >= WAITING:
            return False
        errand.turns += 1
        leader.waiting.append(errand)
        if leader.patience is None:
            leader.patience = Patience()
            leader.patience.policy = self
            leader.patience.leader = leader
            arm(self.reactor, leader.patience, self.wait_time)
        return True

    cdef list dismiss(self, Errand leader):
        """It leads no longer; who waits."""
        cdef list waiting = leader.waiting
        if not leader.leads:
            return []
        leader.leads = False
        leader.waiting = []
        if self.leaders.get(leader.name) is leader:
            del self.leaders[leader.name]
        if leader.patience is not None:
            disarm(leader.patience)
            leader.patience = None
        return waiting

    cdef void let_go(self, Errand leader) noexcept:
        """Each goes alone."""
        cdef Errand kept = leader       # its patience may hold the last reference
        for each in self.dismiss(kept):
            self.resume(<Errand>each, None)

    cdef void resume(self, Errand errand, Stored stored) noexcept:
        pass
