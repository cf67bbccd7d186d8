from libc.errno cimport ENXIO, errno
from libc.stdint cimport UINT64_MAX, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
)
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.types cimport off_t

from tetrapylon._core.shared.series cimport Series, text_of

import os

cdef extern from "unistd.h" nogil:
    int SEEK_DATA
    int SEEK_HOLE
    off_t lseek(int fd, off_t offset, int whence) noexcept

cdef enum:
    PAGE = 4096
    MAGIC = 0x74657472

# Bumped whenever a struct changes: a successor with another layout must not go on in these slabs.
cdef uint64_t LAYOUT = 3

# A worker's own counters, then those of routes from a multiple of their size on.
cdef size_t FIRST = (
    (sizeof(WorkerCounters) + sizeof(RouteCounters) - 1) // sizeof(RouteCounters) * sizeof(RouteCounters))
# What is summed of a route: all up to its gauge, that one included.
cdef size_t ROUTE_WORDS = sizeof(Histogram) // sizeof(uint64_t) + 4
cdef size_t DURATION_WORDS = sizeof(Durations) // sizeof(uint64_t)


cdef struct Header:
    uint64_t magic
    uint64_t layout
    uint64_t workers
    uint64_t routes
    Scale duration
    Scale share


METHOD_NAMES = ("_OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
OUTCOME_NAMES = ("aborted", "1xx", "2xx", "3xx", "4xx", "5xx")
REJECT_NAMES = tuple(reason.name.lower() for reason in sorted(Reject))
# As OpenTelemetry advises for http.server.request.duration; 10 us to 100 ms for what is faster.
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
SHARE_BOUNDS = (
    1e-05, 2.5e-05, 5e-05, 7.5e-05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
)
MOST_BOUNDS = BUCKETS - 1


cdef int take_bounds(Scale *scale, bounds) except -1:
    cdef uint64_t[BUCKETS] ns
    cdef Py_ssize_t n = len(bounds), i
    if not 1 <= n < BUCKETS:
        raise ValueError(f"{n} bounds: expected 1 to {BUCKETS - 1}")
    for i in range(n):
        ns[i] = round(bounds[i] * 1e9)
        if ns[i] == 0 or (i and ns[i] <= ns[i - 1]):
            raise ValueError(f"bounds {list(bounds)}: expected them to rise, from above 0")
    set_scale(scale, ns, <unsigned int>n)
    return 0


cdef tuple bounds_of(const Scale *scale):
    return tuple([scale.bound[i] / 1e9 for i in range(BUCKETS) if scale.bound[i] != UINT64_MAX])


def set_bounds(durations not None, shares not None):
    cdef Scale duration, share
    take_bounds(&duration, durations)
    take_bounds(&share, shares)
    memcpy(&DURATION, &duration, sizeof(Scale))
    memcpy(&SHARE, &share, sizeof(Scale))


set_bounds(DURATION_BOUNDS, SHARE_BOUNDS)


cdef uint64_t now_ns() noexcept nogil:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <uint64_t>time.tv_sec * 1_000_000_000 + <uint64_t>time.tv_nsec


cdef size_t pages_of(size_t size) noexcept:
    return (size + PAGE - 1) // PAGE * PAGE


cdef class Slabs:
    states = tuple(State)
    outcome_names = OUTCOME_NAMES
    method_names = METHOD_NAMES

    def __cinit__(self, Py_ssize_t workers, Py_ssize_t routes, int fd=-1, int series=-1, int upstreams=-1,
                  int board=-1, int rates=-1, int quotas=-1, int flights=-1, int nonces=-1,
                  int moves=-1):
        cdef Header expected
        cdef void *base
        memset(&expected, 0, sizeof(expected))
        expected.magic, expected.layout, expected.workers, expected.routes = MAGIC, LAYOUT, workers, routes
        memcpy(&expected.duration, &DURATION, sizeof(Scale))
        memcpy(&expected.share, &SHARE, sizeof(Scale))
        self.descriptor = -1
        if workers < 1 or routes < 0:
            raise ValueError(f"{workers} workers, {routes} routes: need at least one worker, none negative")
        self.workers = workers
        self.marks = Marks()
        self.moves = Moves(fd=moves)
        self.board = Board(fd=board)
        self.amounts = Amounts(workers, rates, quotas, flights, nonces)
        self.routes = routes
        self.durations = pages_of(FIRST + (<size_t>routes + 1) * sizeof(RouteCounters))
        self.most_durations = 2 * routes + 6 * METHODS
        self.stride = self.durations + pages_of((self.most_durations + METHODS) * sizeof(Durations))
        self.size = PAGE + self.stride * (<size_t>workers + 1)  # the last slab is the supervisor's
        if fd < 0:
            self.descriptor = os.memfd_create("tetrapylon-counters", os.MFD_CLOEXEC)
            os.ftruncate(self.descriptor, self.size)
            fd = self.descriptor
        elif os.fstat(fd).st_size != self.size:
            raise ValueError(f"descriptor {fd} holds no slabs for {workers} workers and {routes} routes")
        base = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        if base == MAP_FAILED:
            raise OSError(errno, f"cannot map {self.size} bytes of counters: {os.strerror(errno)}")
        self.base = <char *>base
        if fd == self.descriptor:
            (<Header *>base)[0] = expected
        elif memcmp(base, &expected, sizeof(expected)):
            raise ValueError(f"descriptor {fd} holds slabs of another layout or other bounds")
        self.series = Series(workers, fd=series)
        self.upstreams = Series(workers, 1024, width=UPSTREAM_WORDS, gauges=UPSTREAM_GAUGES, overflow=b"",
                                fd=upstreams)
        self.descriptor = fd

    def __dealloc__(self):
        if self.base != NULL:
            munmap(self.base, self.size)
        if self.descriptor >= 0:
            os.close(self.descriptor)

    @property
    def duration_bounds(self):
        return bounds_of(&DURATION)

    @property
    def share_bounds(self):
        return bounds_of(&SHARE)

    def upstream_counts(self):
        cdef uint64_t *words
        cdef UpstreamCounters times
        cdef Py_ssize_t i
        words = <uint64_t *>&times
        found = []
        for name, counts in self.upstreams.blocks():
            for i in range(UPSTREAM_WORDS):
                words[i] = counts[i]
            if any(counts):
                found.append((name, times))
        return found

    @property
    def fd(self):
        return self.descriptor

    @property
    def descriptors(self):
        return (self.descriptor, self.series.fd, self.upstreams.fd, self.board.fd, self.amounts.rates.fd,
                self.amounts.quotas.fd, self.amounts.flights.fd, self.amounts.nonces.fd, self.moves.fd)

    def close_fd(self):
        self.board.close_fd()
        self.moves.close_fd()
        self.series.close_fd()
        self.upstreams.close_fd()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def slab(self, Py_ssize_t index):
        if not 0 <= index < self.workers:
            raise IndexError(f"no slab {index}: there are {self.workers} workers")
        return make_slab(self, index)

    def supervisor(self):
        return make_slab(self, self.workers)

    def totals(self):
        if self.descriptor < 0:
            raise ValueError("the descriptor of these slabs is closed in this process")
        cdef Totals totals = Totals.__new__(Totals)
        cdef Py_ssize_t i
        cdef void *base
        totals.routes = self.routes
        # A map of its own: its pages come where something was counted, and go back to the system at its end.
        base = mmap(NULL, self.durations, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if base == MAP_FAILED:
            raise MemoryError()
        totals.words, totals.size = <char *>base, self.durations
        for i in range(self.workers + 1):
            add_slab(self, PAGE + <size_t>i * self.stride, totals)
        return totals


cdef size_t next_data(Slabs slabs, size_t at, size_t end, size_t *stop) except? 0:
    """Where the next existing page is, and up to where they go on; `end` if there is none.

    Reading a hole through the map would fill it.
    """
    cdef off_t found
    if at >= end:
        return end
    found = lseek(slabs.descriptor, <off_t>at, SEEK_DATA)
    if found < 0 and errno != ENXIO:
        raise OSError(errno, os.strerror(errno))
    if found < 0 or <size_t>found >= end:
        return end
    at = <size_t>found
    found = lseek(slabs.descriptor, found, SEEK_HOLE)
    if found < 0:
        raise OSError(errno, os.strerror(errno))
    stop[0] = min(<size_t>found, end)
    return at


cdef int add_slab(Slabs slabs, size_t start, Totals totals) except -1:
    cdef size_t end = start + FIRST + (<size_t>slabs.routes + 1) * sizeof(RouteCounters)
    cdef size_t stop = 0, at = next_data(slabs, start, end, &stop)
    cdef WorkerCounters *worker = <WorkerCounters *>(slabs.base + start)
    cdef Durations *beyond
    cdef size_t i
    if at == end:
        return 0
    if at == start:     # it counts on its first page before anywhere else
        add_words(<uint64_t *>totals.words, <uint64_t *>worker, sizeof(WorkerCounters) // sizeof(uint64_t))
    while at < end:
        # Pages begin and end between two routes.
        for i in range((max(at, start + FIRST) - start - FIRST) // sizeof(RouteCounters),
                       (max(stop, start + FIRST) - start - FIRST) // sizeof(RouteCounters)):
            totals.add(i, <RouteCounters *>(slabs.base + start + FIRST) + i)
        at = next_data(slabs, stop, end, &stop)
    if at and worker.durations >= <uint64_t>slabs.most_durations and slabs.routes:
        beyond = <Durations *>(slabs.base + start + slabs.durations) + slabs.most_durations
        for i in range(<size_t>METHODS):
            totals.add_durations(1, i, beyond + i)
    return 0


cdef inline void add_words(uint64_t *into, const uint64_t *words, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        into[i] += words[i]


cdef class Totals:
    # One moment's sums: words as a slab has them, and the Durations that any route has, by index plus one.
    cdef readonly Py_ssize_t routes
    cdef char *words
    cdef size_t size
    cdef Durations *durations
    cdef size_t used
    cdef size_t room

    def __dealloc__(self):
        if self.words != NULL:
            munmap(self.words, self.size)
        free(self.durations)

    cdef RouteCounters *at(self, Py_ssize_t i) noexcept:
        return <RouteCounters *>(self.words + FIRST) + i

    cdef int add(self, Py_ssize_t i, RouteCounters *route) except -1:
        cdef int method
        add_words(<uint64_t *>self.at(i), <uint64_t *>route, ROUTE_WORDS)
        for method in range(METHODS):
            if route.durations[method]:
                self.add_durations(i, method, <Durations *>(<char *>route + route.durations[method]))
        return 0

    cdef int add_durations(self, Py_ssize_t i, unsigned int method, const Durations *durations) except -1:
        cdef uint64_t *index = &self.at(i).durations[method]
        cdef void *more
        if index[0] == 0:
            if self.used == self.room:
                self.room = 2 * self.room or 64
                more = realloc(self.durations, self.room * sizeof(Durations))
                if more == NULL:
                    raise MemoryError()
                self.durations = <Durations *>more
            memset(&self.durations[self.used], 0, sizeof(Durations))
            self.used += 1
            index[0] = self.used
        add_words(<uint64_t *>&self.durations[index[0] - 1], <const uint64_t *>durations, DURATION_WORDS)
        return 0

    cdef bint seen(self, Py_ssize_t i) noexcept:
        """Was anything ever counted there?"""
        cdef const uint64_t *words = <uint64_t *>self.at(i)
        cdef size_t j
        for j in range(sizeof(RouteCounters) // sizeof(uint64_t)):
            if words[j]:
                return True
        return False

    cdef Py_ssize_t place(self, Py_ssize_t index) except -1:
        if not -1 <= index < self.routes:
            raise IndexError(f"no route {index}: there are {self.routes}")
        return index + 1

    def worker(self):
        return (<WorkerCounters *>self.words)[0]

    def rejects(self):
        cdef WorkerCounters *worker = <WorkerCounters *>self.words
        cdef Py_ssize_t i
        return {name: worker.rejects[i] for i, name in enumerate(REJECT_NAMES)}

    def unmatched(self):
        return self.sum_routes((-1,))

    def route(self, Py_ssize_t index):
        return self.sum_routes((index,))

    def sum_routes(self, indices):
        cdef RouteCounters total
        cdef Durations durations
        cdef RouteCounters *route
        cdef Py_ssize_t i
        cdef int method
        cdef bint any_seen = False
        memset(&total, 0, sizeof(total))
        memset(&durations, 0, sizeof(durations))
        for index in indices:
            i = self.place(index)
            if not self.seen(i):
                continue
            any_seen = True
            route = self.at(i)
            add_words(<uint64_t *>&total, <uint64_t *>route, ROUTE_WORDS)
            for method in range(METHODS):
                if route.durations[method]:
                    add_words(<uint64_t *>&durations,
                              <uint64_t *>&self.durations[route.durations[method] - 1], DURATION_WORDS)
        if not any_seen:
            return None
        return {
            "durations": durations.outcomes, "gateway": total.gateway, "upstream_ns": total.upstream_ns,
            "bytes_in": total.bytes_in, "bytes_out": total.bytes_out, "in_flight": total.in_flight,
        }

    def by_method(self, indices):
        cdef Durations[METHODS] durations
        cdef bint[METHODS] seen
        cdef Py_ssize_t i
        cdef int method
        cdef uint64_t at
        memset(durations, 0, sizeof(durations))
        memset(seen, 0, sizeof(seen))
        for index in indices:
            i = self.place(index)
            for method in range(METHODS):
                at = self.at(i).durations[method]
                if at:
                    seen[method] = True
                    add_words(<uint64_t *>&durations[method], <uint64_t *>&self.durations[at - 1],
                              DURATION_WORDS)
        return [(method, durations[method].outcomes) for method in range(METHODS) if seen[method]]

    def rows(self, Py_ssize_t count):
        cdef RouteCounters *route
        cdef Durations *durations
        cdef uint64_t[OUTCOMES] outcomes
        cdef Histogram all
        cdef Py_ssize_t index, i, j
        cdef int method
        if not 0 <= count <= self.routes:
            raise IndexError(f"{count} routes: there are {self.routes}")
        found = []
        for index in range(-1, count):
            if not self.seen(index + 1):
                continue
            route = self.at(index + 1)
            memset(&all, 0, sizeof(all))
            memset(outcomes, 0, sizeof(outcomes))
            for method in range(METHODS):
                if route.durations[method] == 0:
                    continue
                durations = &self.durations[route.durations[method] - 1]
                for i in range(OUTCOMES):
                    all.sum_ns += durations.outcomes[i].sum_ns
                    for j in range(BUCKETS):
                        all.buckets[j] += durations.outcomes[i].buckets[j]
                        outcomes[i] += durations.outcomes[i].buckets[j]
            found.append((index, outcomes, all, route.gateway))
        return found


cdef Slab make_slab(Slabs owner, Py_ssize_t index):
    cdef Slab slab = Slab.__new__(Slab)
    slab.owner = owner
    slab.index = index
    slab.worker = <WorkerCounters *>(owner.base + PAGE + <size_t>index * owner.stride)
    slab.first = <RouteCounters *>(<char *>slab.worker + FIRST)
    slab.durations = <Durations *>(<char *>slab.worker + owner.durations)
    return slab


cdef int clear_in_flight(Slab slab) except -1:
    cdef Slabs owner = slab.owner
    cdef size_t first = PAGE + <size_t>slab.index * owner.stride + FIRST
    cdef size_t end = first + (<size_t>owner.routes + 1) * sizeof(RouteCounters)
    cdef size_t stop = 0, at = next_data(owner, first, end, &stop)
    cdef size_t i
    while at < end:
        for i in range((at - first) // sizeof(RouteCounters), (stop - first) // sizeof(RouteCounters)):
            slab.first[i].in_flight = 0
        at = next_data(owner, stop, end, &stop)
    return 0


cdef class Slab:
    def __init__(self):
        raise TypeError("a Slab comes from Slabs.slab() or Slabs.supervisor()")

    cdef RouteCounters *route(self, Py_ssize_t i) except NULL:
        if not 0 <= i < self.owner.routes:
            raise IndexError(f"no route {i}: the slab has room for {self.owner.routes}")
        return &self.first[i + 1]

    cdef RouteCounters *unmatched(self) noexcept:
        return &self.first[0]

    cdef Durations *claim_durations(self, RouteCounters *route, unsigned int method) noexcept:
        """Of a route's first request of this method; the overflow's, once there are none left."""
        cdef uint64_t used = self.worker.durations
        if used >= <uint64_t>self.owner.most_durations:
            return &self.durations[self.owner.most_durations + method]
        # A worker that is killed in between loses one: its successor goes on after it.
        self.worker.durations = used + 1
        route.durations[method] = <uint64_t>(<char *>&self.durations[used] - <char *>route)
        return &self.durations[used]

    @property
    def amounts(self):
        return self.owner.amounts

    cdef uint64_t *series(self, str family, dict labels, bint gauge=False) except NULL:
        """This worker's word of a series. The pointer stays true as long as the slab lives."""
        return self.owner.series.word(self.index, text_of(family, labels), gauge)

    cdef UpstreamCounters *upstream(self, str name) except NULL:
        """This worker's counters of an upstream; those of "", where there is no room for one more."""
        return <UpstreamCounters *>self.owner.upstreams.word(self.index, name.encode())

    def count(self, str family not None, dict labels not None, long long value=1, *, bint gauge=False):
        self.series(family, labels, gauge)[0] += <uint64_t>value

    def claim(self, uint64_t pid):
        self.release()
        self.worker.now.started_ns = now_ns()
        self.worker.now.heartbeat_ns = self.worker.now.started_ns
        self.worker.now.state = STARTING
        self.worker.now.pid = pid

    def release(self):
        memset(&self.worker.now, 0, sizeof(Gauges))
        self.owner.series.clear_gauges(self.index)
        self.owner.upstreams.clear_gauges(self.index)
        if self.owner.descriptor >= 0:
            clear_in_flight(self)

    def beat(self):
        self.worker.now.heartbeat_ns = now_ns()

    @property
    def board(self):
        return self.owner.board

    @property
    def moves(self):
        return self.owner.moves

    @property
    def pid(self):
        return self.worker.now.pid

    @property
    def state(self):
        return self.worker.now.state

    @state.setter
    def state(self, uint64_t value):
        self.worker.now.state = value

    @property
    def serving(self):
        return self.worker.now.state == SERVING

    @property
    def draining(self):
        return self.worker.now.state == DRAINING

    @property
    def heartbeat_ns(self):
        return self.worker.now.heartbeat_ns

    @property
    def started_ns(self):
        return self.worker.now.started_ns

    def counters(self):
        return self.worker[0]

    def observe_lag(self, double seconds):
        observe(&self.worker.lag, &SHARE, <uint64_t>(seconds * 1e9) if seconds > 0 else 0)

    def count_restart(self):
        self.worker.restarts += 1

    def count_accept(self):
        self.worker.accepted += 1

    def count_reject(self, Reject reason):
        self.worker.rejects[<int>reason] += 1

    def count_exchange(self, Py_ssize_t route, unsigned int status, uint64_t total_ns, uint64_t gateway_ns,
                       uint64_t upstream_ns, uint64_t bytes_in, uint64_t bytes_out,
                       bytes method not None=b"GET"):
        cdef RouteCounters *counters = self.unmatched() if route == -1 else self.route(route)
        count_exchange(self, counters, method_of(method, len(method)), status // 100, total_ns, gateway_ns,
                       upstream_ns, bytes_in, bytes_out)

    def observe_upstream(self, str upstream not None, uint64_t connect_ns, uint64_t first_byte_ns,
                         uint64_t total_ns):
        cdef UpstreamCounters *counters = self.upstream(upstream)
        observe(&counters.connect, &DURATION, connect_ns)
        observe(&counters.first_byte, &DURATION, first_byte_ns)
        observe(&counters.total, &DURATION, total_ns)
