from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport CONTENT_LENGTH, Head, head_add, head_find, head_reset
from tetrapylon._core.caching.coalesce cimport Coalescing
from tetrapylon._core.caching.draft cimport set_content_length, variant_name
from tetrapylon._core.caching.freshness cimport Control, Terms, current_age, understood
from tetrapylon._core.caching.store cimport Location, Stored
from tetrapylon._core.exchange cimport Exchange, Ticket, current, wait
from tetrapylon._core.policy cimport CONTINUE, WAIT, Verdict
from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport Hash

from os import urandom

cdef int64_t MICROSECOND = 1000


cdef class Question:
    pass


cdef class Sharing(Coalescing):
    cdef bint is_sure(self, Stored stored, uint64_t now) noexcept:
        """May what the worker has be used without asking whether it still lies beyond?"""
        return (stored is not None and stored.place is not None and self.recheck > 0
                and <int64_t>(now - stored.place.checked) < <int64_t>self.recheck)

    cdef Verdict look(self, Exchange x, const Hash* key, uint64_t uri, const Control* wanted, bint personal,
                      Stored stored) noexcept:
        cdef Question question = Question.__new__(Question)
        cdef Location place = Location.__new__(Location)
        question.key = key[0]
        question.uri = uri
        question.wanted = wanted[0]
        question.personal = personal
        question.place = place
        place.key = self.key.name()
        place.uri = self.key.uri_name()
        if stored is not None and stored.place is not None:
            place.variant = stored.place.variant
            question.known = stored.place.id
        question.ticket = wait(x)
        self.ask(question)
        return WAIT

    cdef void ask(self, Question question) except *:
        cdef Location place = question.place
        question.at = clock()
        self.shared.look(
            place.key if place.variant is None else place.key + b":" + place.variant, question.known,
            question, self)

    # What it is told. `mark` is how far changes have come; None: nothing is known, for the store is away.

    def resumed(self, Question question not None, bytes mark, bint same, record):
        """`same`: what the worker has lies there. `record` is what lies there instead; None: nothing."""
        cdef Exchange x = question.ticket.exchange
        cdef Stored stored
        cdef Location place = question.place
        if not current(question.ticket):
            question.ticket.resume()
            return
        place.mark = mark
        stored = self.store.find(&question.key, &x.request, self.marks.get(question.uri))
        if mark is not None:
            stored = self.settled(question, stored, same, record)
        if self.decide(x, &question.key, question.uri, &question.wanted, question.personal, stored, place,
                       question.ticket) != WAIT:
            question.ticket.resume()

    def varies(self, Question question not None, bytes vary not None):
        """Several lie there, by what the request says in these fields."""
        if not current(question.ticket):
            question.ticket.resume()
        elif question.place.variant is not None:
            self.resumed(question, b"", False, None)    # one that varies in itself is none of ours
        else:
            question.place.variant = variant_name(&question.ticket.exchange.request, vary)
            self.ask(question)

    cdef Stored settled(self, Question question, Stored stored, bint same, object record):
        """What the worker has, made to be what lies beyond."""
        cdef Location place = None if stored is None else stored.place
        if record is not None and (place is None or place.id != record.id):
            return self.found(question, record)
        if stored is None:
            return None
        if (same and place is not None and place.id == question.known) or record is not None:
            place.checked = question.at
            place.mark = question.place.mark
        elif not same and (place is None or place.checked <= question.at):
            self.store.remove(stored)           # it was ended there, or had to go
            return None
        return stored

    cdef Stored found(self, Question question, object record):
        cdef Stored stored
        try:
            stored = stored_of(record)
        except ValueError:
            self.shared.refused()
            return None
        stored.key = question.key
        stored.uri = question.uri
        stored.asked = question.at
        stored.place = question.place.anew()
        stored.place.id = record.id
        stored.place.checked = question.at
        if record.vary is not None and not self.store.variant_of(
                &question.ticket.exchange.request, record.vary, &stored.variant):
            return None
        try:
            self.store.take(stored)
        except MemoryError:
            pass                                # it is good for this once
        return stored

    cdef void forget(self, Stored stored) noexcept:
        """It is no longer what the origin says."""
        self.store.remove(stored)
        if self.shared is not None and stored.place is not None and stored.place.id is not None:
            self.shared.drop(slot_of(stored), stored.place.id)

    cdef Verdict changed(self, Exchange x, Verdict verdict) noexcept:
        """A request has changed its URI: its client hears of it when the others have."""
        cdef bytes uri = self.changing.get(<size_t><void*>x)
        if uri is None or verdict != CONTINUE:
            return verdict
        if not self.shared.change("uri", uri, wait(x)):
            x.ticket = 0
            return CONTINUE
        return WAIT

    cdef Verdict decide(self, Exchange x, const Hash* key, uint64_t uri, const Control* wanted, bint personal,
                        Stored stored, Location place, Ticket ticket) noexcept:
        return CONTINUE


cdef bytes slot_of(Stored stored):
    cdef Location place = stored.place
    return place.key if place.variant is None else place.key + b":" + place.variant


def record_of(Stored stored not None):
    """What goes beyond, as keyword arguments of `SharedAnswers.keep`; it is known there by a new id."""
    cdef Head* head = &stored.head
    cdef Terms* terms = &stored.terms
    cdef list fields = []
    cdef uint32_t i
    cdef bint validated = head_find(head, b"etag", 4) is not NULL or head_find(
        head, b"last-modified", 13) is not NULL
    cdef int64_t age = current_age(terms, clock())
    for i in range(head.count):
        if head.headers[i].known != CONTENT_LENGTH:
            fields.append((
                head.data[head.headers[i].name:head.headers[i].name + head.headers[i].name_length],
                head.data[head.headers[i].value:head.headers[i].value + head.headers[i].value_length]))
    stored.place.id = urandom(8).hex().encode()
    return {
        "key": slot_of(stored), "pointer": stored.place.key, "uri": stored.place.uri,
        "mark": stored.place.mark, "id": stored.place.id, "path": stored.path, "tags": stored.tags,
        "vary": stored.vary, "body": stored.body, "status": head.status, "fields": fields,
        "age": max(<int64_t>0, age // MICROSECOND), "lifetime": terms.lifetime // MICROSECOND,
        "late": terms.late // MICROSECOND, "faulty": terms.faulty // MICROSECOND,
        "dated": stored.dated, "flags": (
            terms.always_ask | terms.never_stale << 1 | stored.open << 2), "validated": validated,
    }


cdef Stored stored_of(record):
    """Raises ValueError where this gateway would not have stored it."""
    cdef Stored stored = Stored.__new__(Stored)
    cdef Head* head = &stored.head
    cdef int flags = record.flags
    head_reset(head)
    head.status = record.status
    if not understood(record.status) or (record.body and record.status == 204):
        raise ValueError(f"a response with status {record.status} is not stored")
    for name, value in record.fields:
        if head_add(head, name, len(<bytes>name), value, len(<bytes>value), 0) < 0:
            raise MemoryError
    set_content_length(head, len(<bytes>record.body))
    stored.body = record.body
    stored.path = record.path
    stored.tags = record.tags
    stored.vary = record.vary
    stored.dated = record.dated
    stored.open = flags >> 2 & 1
    stored.terms.lifetime = record.lifetime * MICROSECOND
    stored.terms.age = record.age * MICROSECOND
    stored.terms.came = clock()
    stored.terms.late = record.late * MICROSECOND
    stored.terms.faulty = record.faulty * MICROSECOND
    stored.terms.always_ask = flags & 1
    stored.terms.never_stale = flags >> 1 & 1
    return stored
