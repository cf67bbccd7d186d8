from cpython.exc cimport PyErr_SetFromErrno
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport UINT64_MAX, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close

cdef extern from "<sys/epoll.h>" nogil:
    cdef enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)

cdef enum:
    BATCH = 128         # events fetched at once
    ROUNDS = 4          # batches before the loop's own callbacks get their turn


cdef uint64_t clock() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <uint64_t>t.tv_sec * 1_000_000_000 + <uint64_t>t.tv_nsec


cdef inline void clear(DeadlineQueue* queue) noexcept:
    queue.ends.next = queue.ends.previous = &queue.ends


cdef inline void abandon(DeadlineQueue* queue) noexcept:
    """A timer that outlives its reactor is not armed."""
    while not is_empty(queue):
        queue.ends.next.queue = NULL
        queue.ends.next = queue.ends.next.next


cdef class Timed:
    def __cinit__(self, *args, **kwargs):
        self.timer.owner = <void*>self

    def __dealloc__(self):
        disarm(self)

    cdef void timed_out(self) noexcept:
        pass


cdef class Handle:
    def __cinit__(self, *args, **kwargs):
        self.fd = -1

    cdef void ready(self, uint32_t events) noexcept:
        pass

    cdef void flush(self) noexcept:
        pass

    cdef void released(self) noexcept:
        pass


cdef class Reactor:
    def __cinit__(self, loop):
        self.loop = loop
        self.wakes = UINT64_MAX
        clear(&self.after)
        self.now = clock()
        self.events = <epoll_event*>calloc(BATCH, sizeof(epoll_event))
        self.pieces = <iovec*>calloc(MAX_PIECES, sizeof(iovec))
        self.scratch = <char*>malloc(SCRATCH)
        self.arena = <char*>malloc(ARENA)
        self.arena_size = ARENA
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            PyErr_SetFromErrno(OSError)
        if self.events is NULL or self.pieces is NULL or self.scratch is NULL or self.arena is NULL:
            raise MemoryError()
        loop.add_reader(self.epoll_fd, self._turn)
        self.running = True

    def __dealloc__(self):
        cdef DeadlineQueue* queue = self.queues
        cdef DeadlineQueue* following
        while queue is not NULL:
            following = queue.next
            abandon(queue)
            free(queue)
            queue = following
        abandon(&self.after)
        if self.epoll_fd >= 0:
            close(self.epoll_fd)
        free(self.events)
        free(self.pieces)
        free(self.scratch)
        free(self.arena)

    def close(self):
        if not self.running:
            return
        self.running = False
        self.settle()
        self.loop.remove_reader(self.epoll_fd)
        if self.loop_timer is not None:
            self.loop_timer.cancel()
            self.loop_timer = None
        close(self.epoll_fd)
        self.epoll_fd = -1

    def _turn(self):
        self.turn()

    cdef void turn(self) noexcept:
        self.depth += 1
        self.poll()
        if not is_empty(&self.after):
            self.end_turn()
        self.depth -= 1

    cdef void poll(self) noexcept:
        cdef int n, i, _round
        cdef Handle handle
        for _round in range(ROUNDS):
            n = epoll_wait(self.epoll_fd, self.events, BATCH, 0)
            if n <= 0:
                return      # EINTR: the descriptor is still ready and the loop comes back
            for i in range(n):
                handle = <Handle>self.events[i].data.ptr
                if handle.fd < 0:
                    continue        # closed earlier in this batch
                self.now = clock()
                handle.ready(self.events[i].events)
                if self.corked is not None:
                    self.corked.flush()
            handle = None
            if self.closed is not None or self.kept is not None:
                self.settle()
            if n < BATCH // 8:
                return

    cdef int register(self, Handle handle, uint32_t interest) except -1:
        cdef epoll_event event
        event.events = interest
        event.data.ptr = <void*>handle
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, handle.fd, &event) < 0:
            PyErr_SetFromErrno(OSError)
        handle.interest = interest
        handle.reactor = self
        self.handles += 1
        Py_INCREF(handle)
        return 0

    cdef void modify(self, Handle handle, uint32_t interest) noexcept:
        cdef epoll_event event
        if handle.fd < 0 or handle.interest == interest:
            return
        event.events = interest
        event.data.ptr = <void*>handle
        handle.interest = interest
        epoll_ctl(self.epoll_fd, EPOLL_CTL_MOD, handle.fd, &event)

    cdef void park(self, Handle handle) noexcept:
        """Out of the epoll set, which reports a hang-up whether it is asked for or not."""
        cdef epoll_event event
        epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, handle.fd, &event)

    cdef void unpark(self, Handle handle, uint32_t interest) noexcept:
        cdef epoll_event event
        event.events = interest
        event.data.ptr = <void*>handle
        handle.interest = interest
        epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, handle.fd, &event)

    cdef void close_handle(self, Handle handle, bint shared) noexcept:
        """Close the descriptor now; let go of the object when the batch ends.

        Closing takes a descriptor out of the epoll set, unless another process shares its open file
        description: then it has to be deleted first.
        """
        cdef epoll_event event
        if handle.fd < 0:
            return
        if shared:
            epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, handle.fd, &event)
        close(handle.fd)
        self.let_go(handle)

    cdef void forget_handle(self, Handle handle) noexcept:
        """The descriptor leaves the epoll set and stays open for another handle."""
        self.park(handle)
        self.let_go(handle)

    cdef void let_go(self, Handle handle) noexcept:
        handle.fd = -1
        self.handles -= 1
        handle.next_closed = self.closed
        self.closed = handle

    cdef void enter(self) noexcept:
        """Called first when the loop, not the epoll set, starts work that may write."""
        self.depth += 1
        self.now = clock()

    cdef void leave(self) noexcept:
        """Called when a piece of work is over. One within another is a part of it."""
        if self.depth == 1:
            self.settle()
            if not is_empty(&self.after):
                self.end_turn()
        self.depth -= 1

    cdef void settle(self) noexcept:
        """What was gathered is sent, what was closed is let go."""
        cdef Handle handle
        while self.corked is not None:
            self.corked.flush()
        self.kept = None
        while self.closed is not None:
            handle = self.closed
            self.closed = handle.next_closed
            handle.next_closed = None
            handle.released()
            Py_DECREF(handle)

    cdef void keep(self, object owner) noexcept:
        """`owner` lives until the piece of work is over: its memory was handed on as output."""
        if self.kept is None:
            self.kept = [owner]
        else:
            self.kept.append(owner)

    cdef char* reserve(self, Handle stream, size_t n) noexcept:
        """Room for `n` bytes of `stream`'s output that lasts until its flush. NULL: no memory.

        What another stream gathered is sent first: only one at a time borrows the arena and the pieces.
        """
        cdef char* grown
        if self.corked is not None and self.corked is not stream:
            self.corked.flush()
        if self.arena_used + n > self.arena_size or self.piece_count + 2 > MAX_PIECES:
            if self.corked is not None:
                self.corked.flush()
            self.arena_used = 0
            if n > self.arena_size:
                grown = <char*>realloc(self.arena, n)
                if grown is NULL:
                    return NULL
                self.arena = grown
                self.arena_size = n
        return self.arena + self.arena_used

    # Deadlines: one queue a length makes arming O(1); the loop's one timer stands at the earliest.

    cdef DeadlineQueue* queue(self, double seconds) except NULL:
        """The queue of that length, made on first use and kept as long as the reactor."""
        cdef uint64_t length = <uint64_t>(seconds * 1e9)
        cdef DeadlineQueue* queue = self.queues
        while queue is not NULL:
            if queue.length == length:
                return queue
            queue = queue.next
        queue = <DeadlineQueue*>calloc(1, sizeof(DeadlineQueue))
        if queue is NULL:
            raise MemoryError()
        queue.length = length
        clear(queue)
        queue.next = self.queues
        self.queues = queue
        return queue

    cdef void after_turn(self, Timed timed) noexcept:
        """It is called once all that this turn of the loop brought is done, and sent."""
        disarm(timed)
        append(&self.after, &timed.timer)

    cdef void end_turn(self) noexcept:
        """Who asks again meanwhile waits for the next one, and sees itself that one comes."""
        cdef DeadlineQueue waiting = self.after
        cdef Timed timed
        waiting.ends.next.previous = waiting.ends.previous.next = &waiting.ends
        clear(&self.after)
        self.now = clock()
        while not is_empty(&waiting):
            timed = <Timed>waiting.ends.next.owner
            disarm(timed)
            timed.timed_out()
        self.settle()

    cdef void wake_by(self, uint64_t due) noexcept:
        if not self.running:
            return
        if self.loop_timer is not None:
            self.loop_timer.cancel()
        self.wakes = due
        self.loop_timer = self.loop.call_later(
            max(0.001, (<double>due - <double>self.now) / 1e9), self._expire)

    cdef Timer* next_due(self) noexcept:
        """The earliest of all deadlines; NULL: there is none."""
        cdef DeadlineQueue* queue = self.queues
        cdef Timer* first = NULL
        while queue is not NULL:
            if not is_empty(queue) and (first is NULL or queue.ends.next.due < first.due):
                first = queue.ends.next
            queue = queue.next
        return first

    def _expire(self):
        """After the loop was held up, too, each deadline comes in its turn, whatever its length: what is due
        first may disarm the next, and says what went wrong."""
        cdef Timer* timer
        cdef uint64_t now
        cdef Timed timed
        self.loop_timer = None
        self.wakes = UINT64_MAX
        self.enter()
        now = self.now
        timer = self.next_due()
        while timer is not NULL and timer.due <= now:
            timed = <Timed>timer.owner
            disarm(timed)
            timed.timed_out()
            if self.corked is not None:
                self.corked.flush()
            timer = self.next_due()
        self.leave()
        timer = self.next_due()
        if timer is not NULL and timer.due < self.wakes:
            self.wake_by(timer.due)
