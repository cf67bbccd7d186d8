# What HTTP says of storing and using responses again: RFC 9111 as arithmetic, without a store.

from libc.stdint cimport int64_t, uint64_t

from tetrapylon._core.buffer cimport Head


cdef struct Control:
    # The directives of one message's Cache-Control (RFC 9111 section 5.2). Times in seconds, -1: not said.
    bint said                   # anything at all
    bint no_store
    bint no_cache
    bint closed                 # private
    bint open                   # public
    bint must_revalidate        # or proxy-revalidate: a shared cache reads both alike
    bint only_if_cached
    int64_t max_age
    int64_t s_maxage
    int64_t max_stale
    int64_t min_fresh
    int64_t stale_while_revalidate      # RFC 5861
    int64_t stale_if_error


cdef struct Guess:
    # What a response that says nothing of its freshness is given (RFC 9111 section 4.2.2).
    double share                # of its age at the origin, by Last-Modified; 0: nothing
    int64_t most                # s, of that
    int64_t ttl                 # s, where there is no Last-Modified or no share; 0: nothing
    int64_t stale_while_revalidate      # s, where the response does not say
    int64_t stale_if_error


cdef struct Terms:
    # On what terms one response is stored. Times in ns, to be added to and compared with monotonic ones.
    int64_t lifetime            # how long it is fresh
    int64_t age                 # how old it was when it came
    uint64_t came               # monotonic
    int64_t late                # how long after its freshness it may be used while it is refreshed
    int64_t faulty              # and where it cannot be refreshed
    bint always_ask             # no-cache
    bint never_stale            # must-revalidate, proxy-revalidate or s-maxage


cdef enum Use:
    USE             # it is fresh
    USE_STALE       # it is not, and the client takes it (max-stale)
    USE_AND_ASK     # it is not; it may be used while it is refreshed
    ASK             # not without asking the origin


cdef void read_control(const Head* head, Control* control) noexcept
cdef bint understood(unsigned int status) noexcept      # may a response with it be stored?
cdef int64_t lifetime_of(const Head* response, const Control* said, const Guess* guess,
                         int64_t now) noexcept          # s; -1: it says nothing
cdef int64_t age_of(const Head* response, int64_t delay, int64_t now) noexcept  # ns; `now` in s since 1970
cdef bint storable(const Head* response, const Control* said, bint personal) noexcept
cdef bint make_terms(const Head* response, const Control* said, const Guess* guess, uint64_t sent,
                     uint64_t came, int64_t now, Terms* terms) noexcept     # False: nothing to store
cdef Use judge(const Terms* terms, const Control* asked, uint64_t now) noexcept


cdef inline int64_t current_age(const Terms* terms, uint64_t now) noexcept:
    return terms.age + <int64_t>(now - terms.came)
