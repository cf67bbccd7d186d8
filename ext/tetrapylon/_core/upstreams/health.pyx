"""Passive health and circuit breakers: rules over what the board knows."""

from libc.stdint cimport uint64_t

from tetrapylon._core.shared.board cimport (
    CLOSED, HALF_OPEN, OPEN, Board, Slot, RateWindow, add, bump, exchange, load, store, swap,
)
from tetrapylon._core.upstreams.target cimport Target


cdef uint64_t ns(double seconds) noexcept:
    return <uint64_t>(seconds * 1e9)


cdef void told(object tell, str name, str what, str detail) noexcept:
    if tell is not None:
        tell(name, what, detail)


cdef bint begin(RateWindow* window, uint64_t length, uint64_t now, RateWindow* whole) noexcept:
    """Was the window over, and is it this caller who begins the next? `whole` is then what it came to."""
    cdef uint64_t began = load(&window.began)
    if now < began + length or not swap(&window.began, began, now):
        return False
    whole.calls = exchange(&window.calls, 0)
    whole.failures = exchange(&window.failures, 0)
    whole.slow = exchange(&window.slow, 0)
    whole.spent = exchange(&window.spent, 0)
    return began != 0


cdef class Health:
    def __init__(self, *, int consecutive=0, double failure_rate=0.0, double latency=0.0, int least=20,
                 double window=10.0, double eject=30.0, double longest=300.0, double max_ejected=0.5):
        """Times in seconds, shares from 0 to 1; a rule with 0 is none."""
        self.consecutive = consecutive
        self.failure_rate = failure_rate
        self.latency = latency
        self.least = least
        self.window = ns(window)
        self.eject = ns(eject)
        self.longest = ns(longest)
        self.max_ejected = max_ejected

    cdef void observe(self, Target target, list all, bint good, uint64_t took, uint64_t now,
                      object tell) noexcept:
        cdef Slot* slot = target.slot
        cdef uint64_t row
        if good:
            if load(&slot.row):
                store(&slot.row, 0)
            if target.trial and exchange(&slot.trial, 0):
                store(&slot.since, now)
                bump(target.board)
        else:
            row = add(&slot.row, 1)
            if self.consecutive and row >= self.consecutive:
                self.remove(target, all, now, f"{row} failures in a row", tell)
        if self.failure_rate > 0 or self.latency > 0:
            add(&slot.recent.calls, 1)
            add(&slot.recent.spent, took // 1000)
            if not good:
                add(&slot.recent.failures, 1)
            if now >= load(&slot.recent.began) + self.window:
                self.judge(target, all, now, tell)

    cdef void judge(self, Target target, list all, uint64_t now, object tell) noexcept:
        """A window is over: how was it, for itself and beside the others?"""
        cdef Slot* slot = target.slot
        cdef RateWindow whole
        cdef uint64_t mean, median
        if not begin(&slot.recent, self.window, now, &whole):
            return
        if whole.calls < self.least:
            store(&slot.mean, 0)
            return
        mean = whole.spent // whole.calls
        store(&slot.mean, mean)
        if self.failure_rate > 0 and whole.failures >= self.failure_rate * whole.calls:
            self.remove(target, all, now, f"{whole.failures} of {whole.calls} requests failed", tell)
            return
        if self.latency > 0:
            others = sorted([
                load(&(<Target>other).slot.mean) for other in all
                if other is not target and load(&(<Target>other).slot.mean)
                and not load(&(<Target>other).slot.ejected_until)])
            if others:
                median = others[len(others) // 2]
                if mean > self.latency * median:
                    self.remove(target, all, now,
                                f"{mean / 1000:.3g} ms a request where others take {median / 1000:.3g}", tell)
                    return
        if load(&slot.ejections) and now > load(&slot.since) + self.eject:
            store(&slot.ejections, load(&slot.ejections) - 1)

    cdef void remove(self, Target target, list all, uint64_t now, str why, object tell) noexcept:
        cdef Slot* slot = target.slot
        cdef uint64_t times, span
        cdef Py_ssize_t out = 1
        if load(&slot.ejected_until) > now:
            return
        for other in all:
            if other is not target and load(&(<Target>other).slot.ejected_until) > now:
                out += 1
        if out > self.max_ejected * len(all):
            return
        times = add(&slot.ejections, 1)
        span = self.eject << min(times - 1, <uint64_t>16)
        if span > self.longest or span < self.eject:
            span = max(self.longest, self.eject)
        if exchange(&slot.ejected_until, now + span) > now:
            return                      # another worker was faster
        store(&slot.mean, 0)
        add(&slot.ejected, 1)
        bump(target.board)
        told(tell, target.name, "ejected", f"{why}; tried again in {span / 1e9:.3g} s")

    cdef bint back(self, Target target, uint64_t now, object tell) noexcept:
        """Its time is over: it is tried with one request at a time, and one failure sends it away again."""
        cdef Slot* slot = target.slot
        cdef uint64_t until = load(&slot.ejected_until)
        if until == 0:
            return True
        if until > now:
            return False
        if swap(&slot.ejected_until, until, 0):
            store(&slot.row, self.consecutive - 1 if self.consecutive else 0)
            store(&slot.trial, 1)
            add(&slot.returned, 1)
            bump(target.board)
            told(tell, target.name, "returned", "its ejection is over")
        return True


cdef class Breaker:
    def __init__(self, *, double failure_rate=0.5, double slow_rate=0.0, double slow=1.0, int least=20,
                 double window=10.0, double open=5.0, int trials=3):
        """Times in seconds, shares from 0 to 1; a rule with 0 is none."""
        self.failure_rate = failure_rate
        self.slow_rate = slow_rate
        self.slow = ns(slow)
        self.least = least
        self.window = ns(window)
        self.open = ns(open)
        self.trials = trials

    cdef void observe(self, Slot* slot, Board board, bint good, uint64_t took, uint64_t now, str name,
                      object tell) noexcept:
        cdef RateWindow* window = &slot.breaker
        cdef RateWindow whole
        cdef uint64_t state = load(&slot.circuit)
        cdef bint slow = self.slow_rate > 0 and took > self.slow
        cdef uint64_t calls, failures, slows
        if state == OPEN:
            return                      # of before it opened
        if state == HALF_OPEN:
            if not good or slow:
                self.trip(slot, board, now, name, "the trial failed", tell)
            elif add(&slot.trials, 1) >= self.trials and swap(&slot.circuit, HALF_OPEN, CLOSED):
                store(&window.began, 0)
                store(&slot.since, now)
                add(&slot.circuit_closed, 1)
                bump(board)
                told(tell, name, "closed", f"{self.trials} trials went well")
            return
        begin(window, self.window, now, &whole)
        calls = add(&window.calls, 1)
        failures = load(&window.failures) if good else add(&window.failures, 1)
        slows = add(&window.slow, 1) if slow else load(&window.slow)
        if calls < self.least or (good and not slow):
            return
        if self.failure_rate > 0 and failures >= self.failure_rate * calls:
            self.trip(slot, board, now, name, f"{failures} of {calls} requests failed", tell)
        elif self.slow_rate > 0 and slows >= self.slow_rate * calls:
            self.trip(slot, board, now, name, f"{slows} of {calls} requests were slow", tell)

    cdef void trip(self, Slot* slot, Board board, uint64_t now, str name, str why, object tell) noexcept:
        store(&slot.opened, now)
        if exchange(&slot.circuit, OPEN) == OPEN:
            return
        store(&slot.breaker.began, 0)
        add(&slot.circuit_opened, 1)
        bump(board)
        told(tell, name, "opened", f"{why}; tried again in {self.open / 1e9:.3g} s")

    cdef bint refuses(self, Slot* slot, uint64_t now) noexcept:
        """Open, and not yet time for a trial."""
        if load(&slot.circuit) != OPEN:
            return False
        if now < load(&slot.opened) + self.open:
            return True
        store(&slot.trials, 0)
        swap(&slot.circuit, OPEN, HALF_OPEN)
        return False
