from libc.stdint cimport int64_t, uint64_t

from tetrapylon._core.buffer cimport Head, Header, head_add, head_find, head_free, head_reset
from tetrapylon._core.http.fields cimport (
    Items, Piece, is_word, items_of, next_item, read_date, read_seconds, trimmed,
)

cdef int64_t SECOND = 1_000_000_000     # ns
cdef enum:
    ANY_AGE = 2147483648                # max-stale without a value: however stale


cdef bint named(Piece item, const char* name, size_t n, Piece* value) noexcept:
    """Is it that directive? `value` is what follows its `=`, empty without one."""
    cdef Piece word = item
    cdef size_t i
    value.data = item.data + item.n
    value.n = 0
    for i in range(item.n):
        if item.data[i] == c"=":
            word.n = i
            value.data = item.data + i + 1
            value.n = item.n - i - 1
            break
    return is_word(word, name, n)


cdef void lower(int64_t* known, Piece value, int64_t otherwise) noexcept:
    """The least of those that are said; what is none counts as `otherwise` (RFC 9111 section 4.2.1)."""
    cdef int64_t seconds = read_seconds(value)
    if seconds < 0:
        seconds = otherwise
    if known[0] < 0 or seconds < known[0]:
        known[0] = seconds


cdef void read_control(const Head* head, Control* control) noexcept:
    cdef Items items = items_of(head, b"cache-control", 13)
    cdef Piece item, value = trimmed(NULL, NULL)
    control.said = control.no_store = control.no_cache = control.closed = control.open = False
    control.must_revalidate = control.only_if_cached = False
    control.max_age = control.s_maxage = control.max_stale = control.min_fresh = -1
    control.stale_while_revalidate = control.stale_if_error = -1
    while next_item(&items, &item):
        control.said = True
        # With fields named (RFC 9111 sections 5.2.2.4 and 5.2.2.7) they are taken for the whole response.
        if named(item, b"max-age", 7, &value):
            lower(&control.max_age, value, 0)
        elif named(item, b"s-maxage", 8, &value):
            lower(&control.s_maxage, value, 0)
        elif named(item, b"no-store", 8, &value):
            control.no_store = True
        elif named(item, b"no-cache", 8, &value):
            control.no_cache = True
        elif named(item, b"private", 7, &value):
            control.closed = True
        elif named(item, b"public", 6, &value):
            control.open = True
        elif named(item, b"must-revalidate", 15, &value) or named(item, b"proxy-revalidate", 16, &value):
            control.must_revalidate = True
        elif named(item, b"only-if-cached", 14, &value):
            control.only_if_cached = True
        elif named(item, b"max-stale", 9, &value):
            lower(&control.max_stale, value, 0 if value.n else ANY_AGE)
        elif named(item, b"min-fresh", 9, &value):
            lower(&control.min_fresh, value, ANY_AGE)
        elif named(item, b"stale-while-revalidate", 22, &value):
            lower(&control.stale_while_revalidate, value, 0)
        elif named(item, b"stale-if-error", 14, &value):
            lower(&control.stale_if_error, value, 0)


cdef bint understood(unsigned int status) noexcept:
    """Not 206: a part is never kept as the whole (RFC 9111 section 3.3); nor an error that may pass soon."""
    return status in (200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 451, 501)


cdef bint by_default(unsigned int status) noexcept:
    """May its freshness be guessed (RFC 9110 section 15.1)?"""
    return status in (200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501)


cdef int64_t date_in(const Head* head, const char* name, size_t n, bint* there) noexcept:
    """Seconds since 1970; -1 for none that can be read, or for several."""
    cdef const Header* line = head_find(head, name, n)
    there[0] = line is not NULL
    return -1 if line is NULL else read_date(head.data + line.value, line.value_length)


cdef int64_t lifetime_of(const Head* response, const Control* said, const Guess* guess,
                         int64_t now) noexcept:
    """RFC 9111 section 4.2.1, for a shared cache."""
    cdef bint there = False, dated = False
    cdef int64_t ends, date, changed, guessed = 0
    if said.s_maxage >= 0:
        return said.s_maxage
    if said.max_age >= 0:
        return said.max_age
    date = date_in(response, b"date", 4, &dated)
    if date < 0:
        date = now
    ends = date_in(response, b"expires", 7, &there)
    if there:
        return max(<int64_t>0, ends - date) if ends >= 0 else 0       # what is no date is past, 0 above all
    if not (by_default(response.status) or said.open):
        return -1
    if guess.share > 0:
        changed = date_in(response, b"last-modified", 13, &there)
        if changed >= 0 and changed < date:
            guessed = min(guess.most, <int64_t>(<double>(date - changed) * guess.share))
    if guessed > 0:
        return guessed
    return guess.ttl if guess.ttl > 0 else -1


cdef int64_t age_of(const Head* response, int64_t delay, int64_t now) noexcept:
    """How old a response is as it comes (RFC 9111 section 4.2.3); `delay` is the time it took, in ns."""
    cdef bint there = False
    cdef int64_t date = date_in(response, b"date", 4, &there)
    cdef int64_t apparent = max(<int64_t>0, now - date) * SECOND if date >= 0 else 0
    cdef int64_t said = 0
    cdef Items items = items_of(response, b"age", 3)
    cdef Piece item
    if next_item(&items, &item):        # the first one counts (RFC 9111 section 5.1)
        said = max(<int64_t>0, read_seconds(item))
    return max(apparent, said * SECOND + delay)


cdef bint storable(const Head* response, const Control* said, bint personal) noexcept:
    """RFC 9111 section 3; `personal`: the request said, or the gateway knows, who asks (section 3.5)."""
    if not understood(response.status) or said.no_store or said.closed:
        return False
    if personal and not (said.open or said.must_revalidate or said.s_maxage >= 0):
        return False
    # Two clients must not get one cookie, and what it opens.
    return head_find(response, b"set-cookie", 10) is NULL


cdef bint make_terms(const Head* response, const Control* said, const Guess* guess, uint64_t sent,
                     uint64_t came, int64_t now, Terms* terms) noexcept:
    cdef int64_t lifetime = lifetime_of(response, said, guess, now)
    if lifetime < 0:
        return False
    terms.lifetime = lifetime * SECOND
    terms.came = came
    terms.age = age_of(response, <int64_t>(came - sent) if 0 < sent < came else 0, now)
    terms.always_ask = said.no_cache
    terms.never_stale = said.must_revalidate or said.s_maxage >= 0
    terms.late = max(<int64_t>0, said.stale_while_revalidate if said.stale_while_revalidate >= 0
                     else guess.stale_while_revalidate) * SECOND
    terms.faulty = max(<int64_t>0, said.stale_if_error if said.stale_if_error >= 0
                       else guess.stale_if_error) * SECOND
    return True


cdef Use judge(const Terms* terms, const Control* asked, uint64_t now) noexcept:
    """May it answer this request (RFC 9111 sections 4 and 5.2.1)?"""
    cdef int64_t age = current_age(terms, now)
    cdef int64_t over = age - terms.lifetime
    if terms.always_ask or asked.no_cache:
        return ASK
    if asked.max_age >= 0 and age > asked.max_age * SECOND:
        return ASK
    if asked.min_fresh >= 0 and -over < asked.min_fresh * SECOND:
        return ASK
    if over < 0:
        return USE
    if terms.never_stale:
        return ASK
    if asked.max_stale >= 0 and over <= asked.max_stale * SECOND:
        return USE_STALE
    if over < terms.late:
        return USE_AND_ASK
    return ASK


# For tests: the same, of messages that are given as text.

def verdict(response not None, request not None, *, double sent, double came, long long now, double asked,
            bint personal=False, double share=0.0, long long most=86400, long long ttl=0,
            long long stale_while_revalidate=0, long long stale_if_error=0):
    cdef Head head
    cdef Control said, wanted
    cdef Guess guess = Guess(share, most, ttl, stale_while_revalidate, stale_if_error)
    cdef Terms terms
    cdef uint64_t at = <uint64_t>(asked * SECOND)
    status, fields = response
    make_head(&head, status, fields)
    try:
        read_control(&head, &said)
        if not storable(&head, &said, personal) or not make_terms(
                &head, &said, &guess, <uint64_t>(sent * SECOND), <uint64_t>(came * SECOND), now, &terms):
            return None
    finally:
        head_free(&head)
    make_head(&head, 0, request)
    try:
        read_control(&head, &wanted)
    finally:
        head_free(&head)
    use = judge(&terms, &wanted, at)
    faulty = not terms.never_stale and not terms.always_ask and (
        current_age(&terms, at) - terms.lifetime < terms.faulty)
    return USES[<int>use], current_age(&terms, at) / 1e9, terms.lifetime / 1e9, faulty


USES = ("use", "use stale", "use and ask", "ask")


cdef int make_head(Head* head, int status, fields) except -1:
    head.data = NULL
    head.headers = NULL
    head.capacity = head.room = 0
    head_reset(head)
    head.status = status
    for name, value in fields:
        if head_add(head, name, len(name), value, len(value), 0) < 0:
            raise MemoryError
    return 0
