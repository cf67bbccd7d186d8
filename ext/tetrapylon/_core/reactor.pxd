from libc.stdint cimport uint32_t, uint64_t

cdef extern from "<sys/epoll.h>" nogil:
    cdef enum:
        EPOLLIN
        EPOLLOUT
        EPOLLRDHUP
        EPOLLERR
        EPOLLHUP
        EPOLLEXCLUSIVE
    ctypedef union epoll_data_t:
        void* ptr
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void* iov_base
        size_t iov_len


cdef struct Timer:
    Timer* next
    Timer* previous
    DeadlineQueue* queue        # NULL: not armed
    uint64_t due                # ns, monotonic
    void* owner                 # the Timed that holds this timer


cdef struct DeadlineQueue:
    # All timers of one length, in the order they were armed, which is the order they fall due.
    uint64_t length             # ns
    Timer ends                  # the list's sentinel
    DeadlineQueue* next


cdef class Timed:
    # What a deadline can be set on; one at a time.
    cdef Timer timer

    cdef void timed_out(self) noexcept


cdef class Handle:
    # A file descriptor in the reactor's epoll set. The reactor holds a reference while it is registered, and
    # until the end of the batch in which it was closed, so that an event already fetched for it finds a live
    # object.
    cdef Reactor reactor
    cdef int fd
    cdef uint32_t interest
    cdef Handle next_closed

    cdef void ready(self, uint32_t events) noexcept
    cdef void flush(self) noexcept              # send what was gathered; see Reactor.corked
    cdef void released(self) noexcept           # closed, and the batch is over


cdef enum:
    SCRATCH = 65536             # bytes one read can bring
    ARENA = 65536               # bytes of heads and framing one flush can gather
    MAX_PIECES = 64


cdef class Reactor:
    # One epoll set, nested in the loop's own: the loop sees a single descriptor. Level-triggered.
    cdef object loop
    cdef object loop_timer
    cdef int epoll_fd
    cdef uint64_t now           # ns, monotonic; set when an event is dispatched
    cdef uint64_t wakes         # when the loop's timer is to fire
    cdef int depth              # pieces of work begun within each other
    cdef DeadlineQueue* queues
    cdef DeadlineQueue after            # what waits for the turn's end, whenever that is
    cdef Handle closed
    cdef epoll_event* events
    cdef readonly Py_ssize_t handles
    cdef readonly bint running

    # One stream at a time gathers output here: pieces of memory that stay where they are until the flush.
    cdef Handle corked
    cdef iovec* pieces
    cdef int piece_count
    cdef char* arena
    cdef size_t arena_used
    cdef size_t arena_size
    cdef char* scratch
    cdef list kept                      # whose memory is output; until the piece of work is over

    cdef int register(self, Handle handle, uint32_t interest) except -1
    cdef void modify(self, Handle handle, uint32_t interest) noexcept
    cdef void park(self, Handle handle) noexcept
    cdef void unpark(self, Handle handle, uint32_t interest) noexcept
    cdef void close_handle(self, Handle handle, bint shared) noexcept
    cdef void forget_handle(self, Handle handle) noexcept
    cdef void let_go(self, Handle handle) noexcept
    cdef DeadlineQueue* queue(self, double seconds) except NULL
    cdef void wake_by(self, uint64_t due) noexcept
    cdef Timer* next_due(self) noexcept
    cdef void after_turn(self, Timed timed) noexcept
    cdef void end_turn(self) noexcept
    cdef void enter(self) noexcept
    cdef void leave(self) noexcept
    cdef void settle(self) noexcept
    cdef void poll(self) noexcept
    cdef char* reserve(self, Handle stream, size_t n) noexcept
    cdef void keep(self, object owner) noexcept
    cdef void turn(self) noexcept


cdef uint64_t clock() noexcept nogil


cdef inline void disarm(Timed timed) noexcept:
    cdef Timer* timer = &timed.timer
    if timer.queue is not NULL:
        timer.previous.next = timer.next
        timer.next.previous = timer.previous
        timer.queue = NULL


cdef inline void append(DeadlineQueue* queue, Timer* timer) noexcept:
    timer.queue = queue
    timer.next = &queue.ends
    timer.previous = queue.ends.previous
    timer.previous.next = timer
    queue.ends.previous = timer


cdef inline bint is_empty(const DeadlineQueue* queue) noexcept:
    return queue.ends.next == &queue.ends


cdef inline void arm(Reactor reactor, Timed timed, DeadlineQueue* queue) noexcept:
    # `queue` NULL means no such timeout.
    cdef Timer* timer = &timed.timer
    disarm(timed)
    if queue is NULL:
        return
    append(queue, timer)
    timer.due = reactor.now + queue.length
    if timer.due < reactor.wakes:
        reactor.wake_by(timer.due)
