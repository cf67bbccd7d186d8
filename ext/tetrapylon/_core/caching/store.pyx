from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcmp, memcpy

from tetrapylon._core.buffer cimport (
    CONTENT_LENGTH, CONTENT_TYPE, DROPPED, Head, Header, head_add, head_clone, head_free, head_length,
    same_name,
)
from tetrapylon._core.exchange cimport (
    INTERNAL_FAULT, Destination, Exchange, Sink, Stages, deliver, is_method, response_of, still_wanted,
)
from tetrapylon._core.http.conditional cimport (
    NO_SUCH_PART, NOT_MODIFIED, PART, WHOLE, Wanted, part_of, unchanged,
)
from tetrapylon._core.http.fields cimport Items, Piece, items_of, next_item
from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport Hash, siphash
from tetrapylon._core.telemetry.counters cimport Slab

import os

cdef enum:
    FIRST_BUCKETS = 256
    VARIANTS = 64               # of one key
    NAMES = 16                  # in Vary; with more, it varies with whatever is asked
    PIECE = 131072              # bytes of a body that are handed out at once
    OBJECT = 512                # what an object costs besides its head and body


cdef bytes names_in_vary(const Head* response):
    cdef Items items = items_of(response, b"vary", 4)
    cdef Piece item
    cdef list names = []
    while next_item(&items, &item):
        if item.n == 1 and item.data[0] == c"*":
            return b"*"
        name = item.data[:item.n].lower()
        if name not in names:
            names.append(name)
    if not names:
        return None
    return b"*" if len(names) > NAMES else b",".join(sorted(names))


cdef class Location:
    cdef Location anew(self):
        """For what may come to lie there."""
        cdef Location place = Location.__new__(Location)
        place.key = self.key
        place.variant = self.variant
        place.uri = self.uri
        place.mark = self.mark
        return place


cdef class Stored(Destination):
    def __dealloc__(self):
        head_free(&self.head)

    cdef void start(self, Exchange x) noexcept:
        cdef Stages stages = x.stages
        if self.fill(x, &x.request) < 0:
            stages.fail(x, INTERNAL_FAULT)
            return
        self.send(x)

    cdef int fill(self, Exchange x, const Head* request) noexcept:
        """Make it x.response: whole, or as much as the conditions and the range of `request` leave of it.

        -1: there is no memory.
        """
        cdef Head* head = &x.response
        cdef Wanted wanted = WHOLE
        cdef size_t start = 0, length = len(self.body)
        cdef char[96] text
        cdef int n = 0
        cdef uint32_t i
        if head_clone(head, &self.head) < 0:
            return -1
        if head.status == 200:
            if unchanged(request, &self.head, self.dated):
                wanted = NOT_MODIFIED
            elif is_method(x, b"GET", 3):
                wanted = part_of(request, &self.head, length, &start, &length)
        head.target = <uint32_t>start           # a response has no other use for these
        head.target_length = <uint32_t>length
        if wanted == WHOLE:
            return 0
        head.reason_length = 0
        if wanted == NOT_MODIFIED or wanted == NO_SUCH_PART:
            head.target_length = 0
            head.has_body = False
        for i in range(head.count):
            # RFC 9110 section 15.4.5: of what describes the content, that which a cache needs.
            if head.headers[i].known == CONTENT_LENGTH or (
                    wanted != PART and describes(head, &head.headers[i])):
                head.headers[i].mark |= DROPPED
        if wanted == NOT_MODIFIED:
            head.status = 304
            head.content_length = -1
            return 0
        if wanted == PART:
            head.status = 206
            n = snprintf(text, sizeof(text), b"bytes %zu-%zu/%zu", start, start + length - 1,
                         <size_t>len(self.body))
        else:
            head.status = 416
            n = snprintf(text, sizeof(text), b"bytes */%zu", <size_t>len(self.body))
        if head_add(head, b"Content-Range", 13, text, n, 0) < 0:
            return -1
        return head_length(head, head.target_length)

    cdef void send(self, Exchange x) noexcept:
        """The head is made: it goes down, and the body after it."""
        cdef Stages stages = x.stages
        cdef Sending sending
        cdef uint32_t n = x.response.target_length
        if is_method(x, b"HEAD", 4):
            n = 0
        if n > PIECE and not x.response_started:
            sending = Sending.__new__(Sending)
            sending.stored = self
            sending.at = x.response.target
            sending.end_at = sending.at + n
            x.destination = sending
            stages.head(x)
            sending.go(x)
            return
        deliver(x, <const char*>self.body + x.response.target, n)


cdef bint describes(const Head* head, const Header* line) noexcept:
    cdef const char* name = head.data + line.name
    return (line.known == CONTENT_TYPE
            or (line.name_length == 16 and (same_name(name, b"content-encoding", 16)
                                            or same_name(name, b"content-language", 16))))


cdef class Sending(Sink):
    cdef void pause(self, Exchange x) noexcept:
        self.paused = True

    cdef void resume(self, Exchange x) noexcept:
        self.paused = False
        self.go(x)

    cdef void go(self, Exchange x) noexcept:
        cdef size_t n
        cdef uint64_t response = response_of(x)
        if self.busy or x.destination is not self:
            return
        self.busy = True
        while self.at < self.end_at and not self.paused:
            n = min(<size_t>PIECE, self.end_at - self.at)
            self.at += n
            x.stages.body(x, <const char*>self.stored.body + self.at - n, n)
            if not still_wanted(x, response):
                return
            if x.stages.reactor.corked is not None:
                x.stages.reactor.corked.flush()     # whether the client takes more shows here
            if not still_wanted(x, response):
                return
        self.busy = False
        if self.at == self.end_at and not self.paused:
            x.destination = None
            x.stages.end(x)


cdef inline bint same_hash(const Hash* one, const Hash* other) noexcept:
    return one.bucket == other.bucket and one.tag == other.tag


cdef char* put_lowered(char* at, Piece item) noexcept:
    cdef size_t i
    for i in range(item.n):
        if item.data[i] != c" " and item.data[i] != c"\t":
            at[0] = item.data[i] | 0x20 if c"A" <= item.data[i] <= c"Z" else item.data[i]
            at += 1
    return at


cdef class Store:
    def __cinit__(self, Slab slab not None, str name not None, size_t room):
        cdef dict labels = {"cache": name}
        self.name = name
        self.room = room
        self.slab = slab
        self.bytes_now = slab.series("tetrapylon_cache_bytes", labels, True)
        self.objects_now = slab.series("tetrapylon_cache_objects", labels, True)
        self.evicted = slab.series("tetrapylon_cache_evictions_total", labels)
        self.buckets = <void**>calloc(FIRST_BUCKETS, sizeof(void*))
        if self.buckets is NULL:
            raise MemoryError
        self.mask = FIRST_BUCKETS - 1
        self.seed[0] = int.from_bytes(os.urandom(8), "little")
        self.seed[1] = int.from_bytes(os.urandom(8), "little")

    def __dealloc__(self):
        if self.buckets is not NULL:
            self.clear()
        free(self.buckets)
        free(self.scratch)

    def clear(self):
        """Forget everything; how many there were."""
        cdef Py_ssize_t before = self.count
        while self.oldest is not NULL:
            self.remove(<Stored>self.oldest)
        return before

    def purge(self, str how not None, bytes what not None):
        """Forget what has this path (`path`), one that begins so (`prefix`), or this tag (`tag`)."""
        cdef Stored each
        cdef void* at = self.oldest
        cdef list found = []
        self.purged = clock()
        while at is not NULL:
            each = <Stored>at
            at = each.newer
            if (what in each.tags if how == "tag" else each.path.startswith(what) if how == "prefix"
                    else each.path == what or each.path.startswith(what + b"?")):
                found.append(each)
        for each in found:
            self.remove(each)
        return len(found)

    # What a request says in the fields that a response varies with (RFC 9111 section 4.1)

    cdef bint variant_of(self, const Head* request, bytes vary, Hash* variant) noexcept:
        """Lines of one name are one list, and the space around its items means nothing; of Accept-Encoding,
        the order and the case neither. False: there is no memory."""
        cdef const char* name = vary
        cdef const char* end = name + len(vary)
        cdef const char* comma
        cdef char* at
        cdef size_t need = 2 * <size_t>request.length + 32 * NAMES
        cdef size_t n
        if need > self.scratch_size:
            at = <char*>realloc(self.scratch, need * 2)
            if at is NULL:
                return False
            self.scratch = at
            self.scratch_size = need * 2
        at = self.scratch
        while name < end:
            comma = <const char*>memchr(name, c",", end - name)
            n = (comma if comma is not NULL else end) - name
            at = self.put_items(at, request, name, n)
            at[0] = c"\n"
            at += 1
            name += n + 1
        variant[0] = siphash(self.seed, self.scratch, at - self.scratch)
        return True

    cdef char* put_items(self, char* at, const Head* request, const char* name, size_t n) noexcept:
        cdef Items items = items_of(request, name, n)
        cdef Piece item
        cdef Hash coding, codings
        cdef bint in_any_order = n == 15 and memcmp(name, b"accept-encoding", 15) == 0
        codings.bucket = codings.tag = 0
        while next_item(&items, &item):
            if not in_any_order:
                memcpy(at, item.data, item.n)
                at[item.n] = c","
                at += item.n + 1
                continue
            coding = siphash(self.seed, at, put_lowered(at, item) - at)
            codings.bucket += coding.bucket         # a sum knows no order
            codings.tag += coding.tag
        if in_any_order:
            memcpy(at, &codings, sizeof(codings))
            at += sizeof(codings)
        return at

    cdef Stored find(self, const Hash* key, const Head* request, uint64_t changed):
        """The newest one that answers it; None: none does, or what does is older than `changed`."""
        cdef void* at = self.buckets[key.bucket & self.mask]
        cdef Stored each
        cdef bytes vary = None
        cdef Hash variant
        while at is not NULL:
            each = <Stored>at
            at = each.chained
            if not same_hash(&each.key, key):
                continue
            if each.asked <= changed:
                self.remove(each)
                continue
            if each.vary is None:
                return each
            if vary is None or each.vary != vary:
                vary = each.vary
                if not self.variant_of(request, vary, &variant):
                    return None
            if same_hash(&variant, &each.variant):
                return each
        return None

    cdef void put(self, Stored stored) except *:
        """Take it in, for the one that it replaces. Raises MemoryError if it is larger than the store."""
        self.take(stored)
        if self.beyond is not None and stored.kept and stored.place is not None:
            self.beyond(stored)

    cdef void take(self, Stored stored) except *:
        cdef void* at = self.buckets[stored.key.bucket & self.mask]
        cdef Stored each, last = None
        cdef Py_ssize_t variants = 0
        if stored.asked <= self.purged:
            return                          # it may be what was to go
        while at is not NULL:
            each = <Stored>at
            at = each.chained
            if not same_hash(&each.key, &stored.key):
                continue
            if each.vary is None or stored.vary is None or (
                    each.vary == stored.vary and same_hash(&each.variant, &stored.variant)):
                self.remove(each)
            else:
                variants += 1
                last = each
        if variants >= VARIANTS:
            self.remove(last)
        stored.cost = OBJECT + len(stored.body) + stored.head.capacity + stored.head.room * sizeof(Header)
        for each_tag in stored.tags:
            stored.cost += 64 + len(<bytes>each_tag)
        if not self.reserve(stored.cost):
            raise MemoryError
        if <size_t>self.count > self.mask:
            self.grow()
        stored.chained = self.buckets[stored.key.bucket & self.mask]
        self.buckets[stored.key.bucket & self.mask] = <void*>stored
        stored.older = self.newest
        stored.newer = NULL
        if self.newest is not NULL:
            (<Stored>self.newest).newer = <void*>stored
        self.newest = <void*>stored
        if self.oldest is NULL:
            self.oldest = <void*>stored
        stored.kept = True
        stored.visited = False
        self.count += 1
        Py_INCREF(stored)
        self.tell()

    cdef void tell(self) noexcept:
        """Two stores may have a name in common, so each adds its own."""
        self.bytes_now[0] += <uint64_t>(self.used - self.told)
        self.objects_now[0] += <uint64_t>(self.count - self.told_count)
        self.told = self.used
        self.told_count = self.count

    cdef bint reserve(self, size_t n) noexcept:
        if n > self.room:
            return False
        while self.used + n > self.room:
            if not self.evict():
                return False
        self.used += n
        return True

    cdef void give_back(self, size_t n) noexcept:
        self.used -= n

    cdef void remove(self, Stored stored) noexcept:
        cdef void** link
        if not stored.kept:
            return
        link = &self.buckets[stored.key.bucket & self.mask]
        while link[0] is not <void*>stored:
            link = &(<Stored>link[0]).chained
        link[0] = stored.chained
        if self.hand is <void*>stored:
            self.hand = stored.newer
        if stored.newer is not NULL:
            (<Stored>stored.newer).older = stored.older
        else:
            self.newest = stored.older
        if stored.older is not NULL:
            (<Stored>stored.older).newer = stored.newer
        else:
            self.oldest = stored.newer
        stored.chained = stored.newer = stored.older = NULL
        stored.kept = False
        self.used -= stored.cost
        self.count -= 1
        self.tell()
        Py_DECREF(stored)

    cdef bint evict(self) noexcept:
        """The hand goes from the oldest to the newest, and round again, to the first that was not visited."""
        cdef Stored each
        if self.oldest is NULL:
            return False
        each = <Stored>(self.hand if self.hand is not NULL else self.oldest)
        while each.visited:
            each.visited = False
            each = <Stored>(each.newer if each.newer is not NULL else self.oldest)
        self.hand = <void*>each
        self.remove(each)
        self.evicted[0] += 1
        return True

    cdef void grow(self) noexcept:
        """Without memory for more, the chains get longer."""
        cdef size_t size = (self.mask + 1) * 2
        cdef void** buckets = <void**>calloc(size, sizeof(void*))
        cdef void* at = self.oldest
        cdef Stored each
        if buckets is NULL:
            return
        free(self.buckets)
        self.buckets = buckets
        self.mask = size - 1
        while at is not NULL:           # from old to new: newer ones come to stand before older ones
            each = <Stored>at
            at = each.newer
            each.chained = buckets[each.key.bucket & self.mask]
            buckets[each.key.bucket & self.mask] = <void*>each
