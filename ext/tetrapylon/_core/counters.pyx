from libc.errno cimport ENXIO, errno
from libc.stdint cimport UINT64_MAX, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.types cimport off_t

from tetrapylon._core.series cimport Series, text_of

import os

cdef extern from "unistd.h" nogil:
    int SEEK_DATA
    int SEEK_HOLE
    off_t lseek(int fd, off_t offset, int whence) noexcept

cdef enum:
    PAGE = 4096
    MAGIC = 0x74657472

# Bumped whenever a struct changes: a successor with another layout must not go on in these slabs.
cdef uint64_t LAYOUT = 2

cdef size_t ROUTE_WORDS = sizeof(RouteCounters) // sizeof(uint64_t)


cdef struct Header:
    uint64_t magic
    uint64_t layout
    uint64_t workers
    uint64_t routes


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


cdef size_t stride_of(Py_ssize_t routes) noexcept:
    cdef size_t size = sizeof(WorkerCounters) + (<size_t>routes + 1) * sizeof(RouteCounters)
    return (size + PAGE - 1) // PAGE * PAGE


cdef class Slabs:
    states = tuple(State)
    outcome_names = OUTCOME_NAMES
    method_names = METHOD_NAMES

    def __cinit__(self, Py_ssize_t workers, Py_ssize_t routes, int fd=-1):
        cdef Header expected = Header(MAGIC, LAYOUT, workers, routes)
        cdef void *base
        self.descriptor = -1
        self.board = Board()
        if workers < 1 or routes < 0:
            raise ValueError(f"{workers} workers, {routes} routes: need at least one worker, none negative")
        self.workers = workers
        self.series = Series(workers)
        self.times = Series(workers, 1024, width=TIMES_WORDS, overflow=b"")
        self.marks = Marks()
        self.routes = routes
        self.stride = stride_of(routes)
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
            self.amounts = Amounts(workers)
        elif memcmp(base, &expected, sizeof(expected)):
            raise ValueError(f"descriptor {fd} holds slabs of another layout")
        else:
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

    def upstream_times(self):
        cdef uint64_t *words
        cdef UpstreamTimes times
        cdef Py_ssize_t i
        words = <uint64_t *>&times
        found = []
        for name, counts in self.times.blocks():
            for i in range(TIMES_WORDS):
                words[i] = counts[i]
            if any(counts):
                found.append((name, times))
        return found

    @property
    def fd(self):
        return self.descriptor

    def close_fd(self):
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
        totals.routes = self.routes
        totals.words = <uint64_t *>calloc(self.stride, 1)
        if totals.words == NULL:
            raise MemoryError()
        cdef Py_ssize_t i
        for i in range(self.workers + 1):
            add_slab(self, PAGE + <size_t>i * self.stride, totals.words)
        return totals


cdef int add_slab(Slabs slabs, size_t start, uint64_t *into) except -1:
    """Adds the words of one slab, page by existing page: reading a hole through the map would fill it."""
    cdef size_t end = start + slabs.stride, at = start, stop
    cdef off_t found
    cdef uint64_t *words
    cdef size_t i
    while at < end:
        found = lseek(slabs.descriptor, <off_t>at, SEEK_DATA)
        if found < 0:
            if errno == ENXIO:
                return 0
            raise OSError(errno, os.strerror(errno))
        at = <size_t>found
        if at >= end:
            return 0
        found = lseek(slabs.descriptor, <off_t>at, SEEK_HOLE)
        if found < 0:
            raise OSError(errno, os.strerror(errno))
        stop = min(<size_t>found, end)
        words = <uint64_t *>(slabs.base + at)
        for i in range((stop - at) // sizeof(uint64_t)):
            into[(at - start) // sizeof(uint64_t) + i] += words[i]
        at = stop
    return 0


cdef class Totals:
    cdef readonly Py_ssize_t routes
    cdef uint64_t *words

    def __dealloc__(self):
        free(self.words)

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
        cdef uint64_t *words
        cdef uint64_t any_word = 0
        cdef Py_ssize_t index
        cdef size_t i
        memset(&total, 0, sizeof(total))
        for index in indices:
            if not -1 <= index < self.routes:
                raise IndexError(f"no route {index}: there are {self.routes}")
            words = <uint64_t *>(<char *>self.words + sizeof(WorkerCounters)
                                 + <size_t>(index + 1) * sizeof(RouteCounters))
            for i in range(ROUTE_WORDS):
                (<uint64_t *>&total)[i] += words[i]
                any_word |= words[i]
        return total if any_word else None

    def rows(self, Py_ssize_t count):
        cdef RouteCounters *route
        cdef uint64_t *words
        cdef uint64_t any_word
        cdef uint64_t[OUTCOMES] outcomes
        cdef Histogram all
        cdef Py_ssize_t index, i, j
        if not 0 <= count <= self.routes:
            raise IndexError(f"{count} routes: there are {self.routes}")
        found = []
        for index in range(-1, count):
            words = <uint64_t *>(<char *>self.words + sizeof(WorkerCounters)
                                 + <size_t>(index + 1) * sizeof(RouteCounters))
            any_word = 0
            for i in range(<Py_ssize_t>ROUTE_WORDS):
                any_word |= words[i]
            if not any_word:
                continue
            route = <RouteCounters *>words
            memset(&all, 0, sizeof(all))
            memset(outcomes, 0, sizeof(outcomes))
            for i in range(OUTCOMES):
                all.sum_ns += route.durations[i].sum_ns
                for j in range(BUCKETS):
                    all.buckets[j] += route.durations[i].buckets[j]
                    outcomes[i] += route.durations[i].buckets[j]
            found.append((index, outcomes, all, route.gateway))
        return found


cdef Slab make_slab(Slabs owner, Py_ssize_t index):
    cdef Slab slab = Slab.__new__(Slab)
    slab.owner = owner
    slab.index = index
    slab.worker = <WorkerCounters *>(owner.base + PAGE + <size_t>index * owner.stride)
    slab.first = <RouteCounters *>(<char *>slab.worker + sizeof(WorkerCounters))
    return slab


cdef class Slab:
    def __init__(self):
        raise TypeError("a Slab comes from Slabs.slab() or Slabs.supervisor()")

    cdef RouteCounters *route(self, Py_ssize_t i) except NULL:
        if not 0 <= i < self.owner.routes:
            raise IndexError(f"no route {i}: the slab has room for {self.owner.routes}")
        return &self.first[i + 1]

    cdef RouteCounters *unmatched(self) noexcept:
        return &self.first[0]

    @property
    def amounts(self):
        return self.owner.amounts

    cdef uint64_t *series(self, str family, dict labels, bint gauge=False) except NULL:
        """This worker's word of a series. The pointer stays true as long as the slab lives."""
        return self.owner.series.word(self.index, text_of(family, labels), gauge)

    cdef UpstreamTimes *times(self, str upstream) except NULL:
        """This worker's histograms of an upstream; those of "", where there is no room for one more."""
        return <UpstreamTimes *>self.owner.times.word(self.index, upstream.encode())

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

    def beat(self):
        self.worker.now.heartbeat_ns = now_ns()

    @property
    def board(self):
        return self.owner.board

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
        count_exchange(counters, method_of(method, len(method)), status // 100, total_ns, gateway_ns,
                       upstream_ns, bytes_in, bytes_out)

    def observe_upstream(self, str upstream not None, uint64_t connect_ns, uint64_t first_byte_ns,
                         uint64_t total_ns):
        cdef UpstreamTimes *times = self.times(upstream)
        observe(&times.connect, &DURATION, connect_ns)
        observe(&times.first_byte, &DURATION, first_byte_ns)
        observe(&times.total, &DURATION, total_ns)
