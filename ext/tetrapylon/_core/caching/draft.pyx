from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy
from libc.time cimport time

from tetrapylon._core.buffer cimport (
    CONTENT_LENGTH, CONTENT_TYPE, DATE, DROPPED, EXPECT, FORGED, HOP, TRANSFER_ENCODING, Head, Header,
    head_add, head_find, head_free, head_known, head_length, head_reset, same_name,
)
from tetrapylon._core.caching.freshness cimport Control, Guess, make_terms, read_control, storable
from tetrapylon._core.caching.store cimport Store, Stored, names_in_vary
from tetrapylon._core.exchange cimport Exchange, Filter
from tetrapylon._core.http.fields cimport Items, Piece, items_of, next_item, read_date
from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport Hash

from email.utils import formatdate
from hashlib import blake2b

cdef enum:
    FIRST = 4096            # bytes of a body whose length is not known
    TAGS = 64               # of one response; with more of them it is not stored
    TAG = 256               # bytes

# Not for whoever asks next (RFC 9111 section 3.1), or told anew each time.
cdef tuple NOT_KEPT = (
    b"age", b"cookie", b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization",
    b"set-cookie", b"set-cookie2", b"trailer",
)
# What a 304 does not tell anew of the content (RFC 9111 section 3.2).
cdef tuple OF_CONTENT = (b"content-encoding", b"content-range")
cdef tuple OURS_TO_ASK = (b"if-none-match", b"if-modified-since", b"if-range", b"range")


cdef class Asked:
    def __dealloc__(self):
        head_free(&self.head)


cdef bint is_one_of(const Head* head, const Header* line, tuple names) noexcept:
    for name in names:
        if line.name_length == <uint32_t>len(<bytes>name) and same_name(
                head.data + line.name, <bytes>name, line.name_length):
            return True
    return False


cdef bint framed(const Head* response) noexcept:
    """Can a body be seen to be whole? One that ends with the connection cannot (RFC 9112 section 6.3)."""
    cdef uint32_t i
    if response.chunked or response.content_length >= 0 or not response.has_body:
        return True
    for i in range(response.count):
        if response.headers[i].known == CONTENT_LENGTH:
            return True                 # a coding made it another
    return False


cdef int copy_line(Head* head, const Head* other, const Header* line) noexcept:
    return head_add(head, other.data + line.name, line.name_length, other.data + line.value,
                    line.value_length, 0)


cdef int copy_head(Head* head, const Head* response) noexcept:
    """What of a response goes to whoever asks next."""
    cdef const Header* line
    cdef uint32_t i
    head_reset(head)
    head.status = response.status
    for i in range(response.count):
        line = &response.headers[i]
        if (line.mark & (DROPPED | HOP) or line.known in (<int>CONTENT_LENGTH, <int>TRANSFER_ENCODING)
                or is_one_of(response, line, NOT_KEPT)):
            continue
        if copy_line(head, response, line) < 0:
            return -1
    return 0


cdef int64_t date_of(const Head* head, int64_t otherwise) noexcept:
    cdef const Header* line = head_known(head, DATE)
    cdef int64_t found = -1 if line is NULL else read_date(head.data + line.value, line.value_length)
    return otherwise if found < 0 else found


cdef int complete(Stored stored, Asked asked, const Control* said, uint64_t now) except -1:
    """What is known of it once its head is made."""
    cdef Head* head = &stored.head
    cdef int64_t wall = <int64_t>time(NULL)
    cdef bytes date
    if head_known(head, DATE) is NULL:      # its age is counted from here (RFC 9110 section 6.6.1)
        date = formatdate(wall, usegmt=True).encode()
        if head_add(head, b"Date", 4, date, len(date), 0) < 0:
            raise MemoryError
    stored.key = asked.key
    stored.uri = asked.uri
    stored.asked = asked.at
    stored.path = asked.path
    if asked.place is not None and asked.place.mark is not None:
        stored.place = asked.place.anew()
        stored.place.checked = clock()
    stored.dated = date_of(head, wall)
    stored.open = said.open or said.must_revalidate or said.s_maxage >= 0
    return 0


cdef int set_content_length(Head* head, size_t n) except -1:
    head.has_body = n > 0
    if head_length(head, n) < 0:
        raise MemoryError
    return 0


cdef tuple tags_in(const Head* response, bytes field):
    """None: more than are kept."""
    cdef Items items
    cdef Piece item
    cdef list tags = []
    if field is None:
        return ()
    items = items_of(response, field, len(field))
    while next_item(&items, &item):
        tags.extend(item.data[:item.n].split())         # Surrogate-Key has blanks between them
        if len(tags) > TAGS or any([len(tag) > TAG for tag in tags[-TAGS:]]):
            return None
    return tuple(tags)


cdef bytes variant_name(const Head* request, bytes vary):
    """As `Store.variant_of` tells them apart."""
    cdef Items items
    cdef Piece item
    cdef bytes name
    cdef list said
    hash = blake2b(digest_size=20)
    for name in vary.split(b","):
        items = items_of(request, name, len(name))
        said = []
        while next_item(&items, &item):
            said.append(item.data[:item.n])
        if name == b"accept-encoding":
            said = sorted([b"".join((<bytes>each).split()).lower() for each in said])
        hash.update(b",".join(said) + b"\n")
    return hash.hexdigest().encode()


cdef bint has_validator(const Head* head) noexcept:
    return head_find(head, b"etag", 4) is not NULL or head_find(head, b"last-modified", 13) is not NULL


cdef Draft draft_of(const Head* response, const Head* request, const Control* said, Asked asked,
                    const Guess* guess, Store store, size_t limit, bytes tag_field, uint64_t now):
    """For a response that may be stored; None for any other. `request` is what was sent in the end."""
    cdef Stored stored
    cdef Draft draft
    cdef Hash sent
    cdef bytes vary, variant = None
    if (not storable(response, said, asked.personal) or not framed(response)
            or response.content_length > <int64_t>limit):
        return None
    stored = Stored.__new__(Stored)
    if not make_terms(response, said, guess, asked.at, now, <int64_t>time(NULL), &stored.terms):
        return None
    if stored.terms.always_ask or stored.terms.age >= stored.terms.lifetime:
        if not has_validator(response) and stored.terms.late <= 0 and stored.terms.faulty <= 0:
            return None                 # never of use
    vary = names_in_vary(response)
    if vary is not None:
        if vary == b"*":
            return None
        if not store.variant_of(&asked.head, vary, &stored.variant) or not store.variant_of(
                request, vary, &sent):
            return None
        # What a policy behind the cache made of it cannot be told from the request of the next client.
        if sent.bucket != stored.variant.bucket or sent.tag != stored.variant.tag:
            return None
        stored.vary = vary
        variant = variant_name(&asked.head, vary)
    stored.tags = tags_in(response, tag_field)
    if stored.tags is None or copy_head(&stored.head, response) < 0:
        return None
    complete(stored, asked, said, now)
    if stored.place is not None:
        stored.place.variant = variant
    draft = Draft.__new__(Draft)
    draft.store = store
    draft.stored = stored
    draft.limit = limit
    draft.announced = response.content_length
    draft.lines = response.count
    return draft


cdef class Draft(Filter):
    def __dealloc__(self):
        self.drop()

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.take(data, n)
        self.emit(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        """What a policy on the way to the client has put in its place is not the origin's."""
        cdef uint32_t i
        for i in range(self.lines, x.response.count):
            if x.response.headers[i].known == CONTENT_LENGTH:
                self.drop()
                return
        self.finish()

    cdef void abort(self, Exchange x) noexcept:
        self.drop()

    cdef bint take(self, const char* data, size_t n) noexcept:
        cdef size_t room = self.room
        cdef char* grown
        if self.closed:
            return False
        if self.size + n > self.limit:
            self.drop()
            return False
        if self.size + n > room:
            room = max(<size_t>FIRST, room)
            if self.announced > 0 and self.room == 0:
                room = <size_t>self.announced
            while room < self.size + n:
                room *= 2
            grown = <char*>realloc(self.data, room) if self.store.reserve(room - self.room) else NULL
            if grown is NULL:
                self.drop()
                return False
            self.data = grown
            self.room = room
        memcpy(self.data + self.size, data, n)
        self.size += n
        return True

    cdef bint finish(self) noexcept:
        cdef Stored stored = self.stored
        if self.closed or (self.announced >= 0 and self.size != <size_t>self.announced):
            self.drop()
            return False
        try:
            stored.body = PyBytes_FromStringAndSize(self.data, self.size) if self.size else b""
            set_content_length(&stored.head, self.size)
            self.drop()
            self.store.put(stored)
        except MemoryError:
            self.drop()
            return False
        return True

    cdef void drop(self) noexcept:
        self.closed = True
        if self.room:
            self.store.give_back(self.room)
            self.room = 0
        free(self.data)
        self.data = NULL


cdef Stored freshened(Asked asked, const Head* response, const Guess* guess, uint64_t now):
    """The stored response after a 304 (RFC 9111 section 4.3.4); None where it may be stored no more."""
    cdef Stored old = asked.stale
    cdef Stored stored = Stored.__new__(Stored)
    cdef Head* head = &stored.head
    cdef Control said
    cdef const Header* line
    cdef uint32_t i
    head_reset(head)
    head.status = old.head.status
    for i in range(response.count):
        line = &response.headers[i]
        if not (line.mark & (DROPPED | HOP) or line.known in (
                <int>CONTENT_LENGTH, <int>TRANSFER_ENCODING, <int>CONTENT_TYPE)
                or is_one_of(response, line, NOT_KEPT) or is_one_of(response, line, OF_CONTENT)):
            if copy_line(head, response, line) < 0:
                return None
    for i in range(old.head.count):
        line = &old.head.headers[i]
        if line.known == CONTENT_LENGTH or has_name(head, &old.head, line):
            continue
        if copy_line(head, &old.head, line) < 0:
            return None
    read_control(head, &said)
    if not storable(head, &said, asked.personal) or not make_terms(
            head, &said, guess, asked.at, now, <int64_t>time(NULL), &stored.terms):
        return None
    complete(stored, asked, &said, now)
    stored.body = old.body
    set_content_length(head, len(old.body))
    stored.vary = old.vary
    if stored.place is not None:
        stored.place.variant = variant_name(&asked.head, old.vary) if old.vary is not None else None
    stored.variant = old.variant
    stored.tags = old.tags
    return stored


cdef bint has_name(const Head* head, const Head* other, const Header* line) noexcept:
    cdef uint32_t i, j
    cdef const char* name = other.data + line.name
    for i in range(head.count):
        if head.headers[i].name_length != line.name_length:
            continue
        for j in range(line.name_length):
            if (head.data[head.headers[i].name + j] | 0x20) != (name[j] | 0x20):
                break
        else:
            return True
    return False


cdef void add_validators(Head* request, const Head* stored) noexcept:
    """Ask whether what is stored is still good (RFC 9111 section 4.3.1), not what the client asked."""
    cdef const Header* line
    cdef uint32_t i
    for i in range(request.count):
        if is_one_of(request, &request.headers[i], OURS_TO_ASK):
            request.headers[i].mark |= DROPPED
    line = head_find(stored, b"etag", 4)
    if line is not NULL:
        head_add(request, b"If-None-Match", 13, stored.data + line.value, line.value_length, 0)
    line = head_find(stored, b"last-modified", 13)
    if line is not NULL:
        head_add(request, b"If-Modified-Since", 17, stored.data + line.value, line.value_length, 0)


cdef bint asks_for_less(const Head* request, Stored stale) noexcept:
    """Than what others could be given: unless what is stored is asked about in its place."""
    if stale is not None and has_validator(&stale.head):
        return False
    return (head_find(request, b"range", 5) is not NULL
            or head_find(request, b"if-none-match", 13) is not NULL
            or head_find(request, b"if-modified-since", 17) is not NULL)


cdef list fields_for(Exchange x, Stored stored):
    """The client's own, but for what it asked about its copy, and with what is asked about the cache's."""
    cdef Head* head = &x.request
    cdef const Header* line
    cdef uint32_t i
    cdef list fields = []
    for i in range(head.count):
        line = &head.headers[i]
        if not line.mark & (DROPPED | HOP) and line.known not in (<int>EXPECT, <int>FORGED):
            name = head.data[line.name:line.name + line.name_length]
            if name.lower() not in NOT_FOR_REFRESH:
                fields.append((name, head.data[line.value:line.value + line.value_length]))
    for ours, asked in ((b"etag", b"If-None-Match"), (b"last-modified", b"If-Modified-Since")):
        line = head_find(&stored.head, ours, len(<bytes>ours))
        if line is not NULL:
            fields.append((asked, stored.head.data[line.value:line.value + line.value_length]))
    return fields


cdef frozenset NOT_FOR_REFRESH = frozenset((
    b"cache-control", b"connection", b"content-length", b"if-modified-since", b"if-none-match", b"if-range",
    b"pragma", b"range", b"transfer-encoding", b"upgrade",
))
