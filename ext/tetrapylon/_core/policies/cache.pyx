"""`cache`: answers that are kept and given again (RFC 9111)."""

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint64_t

from tetrapylon._core.body cimport set_response_body
from tetrapylon._core.buffer cimport Head, head_clone
from tetrapylon._core.caching.cache_key cimport CacheKey, survey
from tetrapylon._core.caching.cache_status cimport say_forwarded, say_used
from tetrapylon._core.caching.coalesce cimport Errand
from tetrapylon._core.caching.draft cimport (
    Draft, add_validators, asks_for_less, draft_of, fields_for, freshened, has_validator,
)
from tetrapylon._core.caching.freshness cimport (
    USE, USE_AND_ASK, USE_STALE, Control, Guess, Terms, Use, current_age, judge, read_control,
)
from tetrapylon._core.caching.sharing cimport Sharing
from tetrapylon._core.caching.store cimport Location, Store, Stored
from tetrapylon._core.exchange cimport (
    CLIENT_GONE, CLIENT_STALLED, INTERNAL_FAULT, NO_FAULT, Destination, Exchange, Ticket, current, install,
    is_method, wait,
)
from tetrapylon._core.http.edit cimport drop_lines, out_of_memory
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.limiting.kept cimport Kept
from tetrapylon._core.memo cimport Memo
from tetrapylon._core.policy cimport ANSWER, CONTINUE, WAIT, Verdict
from tetrapylon._core.reactor cimport Reactor, clock
from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.call cimport Call, CallStages

from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.amounts import KeyPart, RedisUrl, StoreTimeout, check_store
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName, Line
from tetrapylon.config.units import Duration, Share, Size

cdef enum:
    TURNS = 4               # answers of others that one request waits for
    REFRESHING = 64         # at once, in the background
    APART = 10000           # URIs remembered whose answers are not for all

cdef int64_t SECOND = 1_000_000_000
cdef uint64_t APART_FOR = 10 * 1_000_000_000    # ns
cdef uint64_t UNSAFE = 1                        # in place of an Errand: this may change what is stored


class Settings(Struct, frozen=True, kw_only=True):
    """Keeps answers and gives them again, as RFC 9111 says of a shared cache.

    What may be kept, and for how long, is the upstream's to say: `Cache-Control`, `Expires`, `Vary`. Never
    kept are answers with `Set-Cookie`, parts (206), what is cut short or comes from a `split`. Requests
    of which it is known who asks (`Authorization`, or a consumer) get, and leave, only what is `public`,
    `s-maxage` or `must-revalidate`. `Cache-Status` (RFC 9211) tells what was done. Each worker has a store of
    its own, in memory, and machines may share one in Redis besides. Many misses of one URI at once are one
    request of each worker to the upstream. A request that may
    change something (POST, PUT, DELETE ...) and succeeds ends what is kept of its URI, in all workers.

    List it behind what says who may ask: a policy that comes after it is not asked again.
    """

    size: Annotated[
        Size, doc("Of the store, in each worker; places with the same `name` and `size` share one.", ge=65536)
    ] = 64 * 1024 * 1024
    max_object: Annotated[Size, doc("Larger bodies are not kept.", ge=1)] = 1024 * 1024
    name: Annotated[Line, doc("Of the store, in metrics and purges.")] = "default"
    ttl: Annotated[
        Duration, doc("How long an answer that says nothing of it is fresh; `0s`: it is not kept.")
    ] = 0.0
    heuristic: Annotated[
        Share,
        doc(
            "Or, of one with `Last-Modified`, this share of its age then, a day at most"
            " (RFC 9111 section 4.2.2)."
        ),
    ] = 0.0
    key: Annotated[
        tuple[KeyPart, ...],
        doc("What tells answers apart besides the URI and `Vary`: `consumer`, `header:NAME`, `client`."),
    ] = ()
    store: Annotated[
        Literal["memory", "redis"],
        doc("`memory`: each worker has its own alone; `redis`: all machines share what is kept there, too."),
    ] = "memory"
    redis: Annotated[RedisUrl | None, doc("Where it is, with `store: redis`.")] = None
    timeout: Annotated[
        StoreTimeout,
        doc("Redis is away when it takes longer; until it is back, workers go by what they have themselves."),
    ] = 0.05
    recheck: Annotated[
        Duration,
        doc("How long a worker uses what it has before it asks Redis again; purges reach all in that time."),
    ] = 1.0
    obey_clients: Annotated[
        bool,
        doc("Whether a client's `Cache-Control` counts: `false` keeps it from asking the upstream at will."),
    ] = True
    stale_while_revalidate: Annotated[
        Duration,
        doc("How long an answer is given after its time while it is asked for anew, where it does not say."),
    ] = 0.0
    stale_if_error: Annotated[
        Duration,
        doc("And where the upstream fails or answers 500, 502, 503 or 504 (RFC 5861)."),
    ] = 0.0
    wait: Annotated[
        Duration,
        doc("How long a request waits for the answer to another one of the same URI; `0s`: not at all."),
    ] = 5.0
    tags: Annotated[
        HeaderName | None,
        doc("The field in which the upstream tells tags to purge by; clients do not get it."),
    ] = "Cache-Tag"
    status: Annotated[bool, doc("Tell clients in `Cache-Status`.")] = True


cdef class Refresh(Call):
    # A request of the cache's own, for what is stale.
    cdef Cache cache
    cdef Errand errand
    cdef Draft draft

    def go(self):
        try:
            self.begin()
        except ValueError:              # longer than a request of the gateway's own may be
            self.completed()

    cdef void head(self, Exchange x) noexcept:
        if x.response.status >= 200:
            self.draft = self.cache.renew(x, self.errand)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        if self.draft is not None:
            self.draft.take(data, n)

    cdef void end(self, Exchange x) noexcept:
        if self.draft is not None:
            self.draft.finish()

    cdef void abort(self, Exchange x) noexcept:
        if self.draft is not None:
            self.draft.drop()

    cdef void completed(self) noexcept:
        self.draft = None
        self.cache.refreshing.pop(self.errand.name, None)


cdef class StandIn(Destination):
    # What is stored, in place of an error of the origin.
    cdef Cache cache
    cdef Errand errand

    cdef void start(self, Exchange x) noexcept:
        cdef Stored stored = self.errand.stale
        if (stored.fill(x, &self.errand.head) < 0
                or self.cache.tell_use(x, stored, b"; fwd=stale; detail=stale-if-error", True) != CONTINUE):
            x.stages.fail(x, INTERNAL_FAULT)
            return
        stored.send(x)


cdef class Cache(Sharing):
    cdef Guess guess
    cdef size_t max_object
    cdef bint obeys
    cdef bytes tag_field            # in lower case
    cdef bytes status               # what Cache-Status begins with; None: it is not told
    cdef CallStages calls
    cdef object loop
    cdef Kept errands               # Exchange -> Errand, or UNSAFE and the URI's hash
    cdef dict refreshing            # key -> Refresh
    cdef Memo apart                 # keys whose answers were not for all, lately
    cdef Refusal not_stored
    cdef uint64_t* hits
    cdef uint64_t* stale
    cdef uint64_t* misses
    cdef uint64_t* revalidated
    cdef uint64_t* collapsed
    cdef uint64_t* bypassed
    cdef Slab slab                  # keeps these

    Settings = Settings

    def __init__(self, settings not None, Store store not None, CallStages calls not None, Slab slab not None,
                 loop, str place not None, str status not None, Reactor reactor not None, shared=None):
        self.store = store
        self.shared = shared
        self.recheck = <uint64_t>(settings.recheck * 1e9)
        self.changing = {}
        self.marks = slab.owner.marks
        self.key = CacheKey(self.marks, place, settings.key)
        self.guess = Guess(
            settings.heuristic, 86400, <int64_t>settings.ttl, <int64_t>settings.stale_while_revalidate,
            <int64_t>settings.stale_if_error)
        self.max_object = settings.max_object
        self.obeys = settings.obey_clients
        self.tag_field = settings.tags.lower().encode("ascii") if settings.tags is not None else None
        self.status = status.encode("ascii") if settings.status else None
        self.reactor = reactor
        self.wait_time = reactor.queue(settings.wait) if settings.wait > 0 else NULL
        self.calls = calls
        self.loop = loop
        self.errands = Kept()
        self.refreshing = {}
        self.apart = Memo(APART)
        self.not_stored = Refusal(
            504, "not_cached", "Gateway Timeout", "It is not in the cache, and no more was to be asked.",
            error="http_request_denied")
        self.slab = slab
        family = "tetrapylon_cache_requests_total"
        self.hits = slab.series(family, {"cache": settings.name, "result": "hit"})
        self.stale = slab.series(family, {"cache": settings.name, "result": "stale"})
        self.misses = slab.series(family, {"cache": settings.name, "result": "miss"})
        self.revalidated = slab.series(family, {"cache": settings.name, "result": "revalidated"})
        self.collapsed = slab.series(family, {"cache": settings.name, "result": "collapsed"})
        self.bypassed = slab.series(family, {"cache": settings.name, "result": "bypass"})

    @staticmethod
    def build(settings, scope):
        store, shared = scope.cache(settings)
        return Cache(settings, store, scope.calls, scope.slab, scope.loop, scope.where, "tetrapylon",
                     scope.reactor, shared)

    @staticmethod
    def check(settings, config):
        if settings.max_object > settings.size // 2:
            yield (("max_object",), "an object must not fill more than half of the store",
                   "lower it, or raise `size`")
        if len(settings.key) > 8:
            yield ("key",), "a key has at most eight parts", "leave some out"
        yield from check_store(settings)

    # On the way in

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Control wanted
        cdef Hash key
        cdef uint64_t uri = 0, now
        cdef uint64_t* note
        cdef Stored stored
        cdef bint get = is_method(x, b"GET", 3)
        cdef bint personal = False, single
        if not get and not is_method(x, b"HEAD", 4):
            self.bypassed[0] += 1
            if not is_method(x, b"OPTIONS", 7) and not is_method(x, b"TRACE", 5):
                if not self.key.write(x, &key, &uri):
                    return out_of_memory(x)
                note = self.errands.put(<void*>x)
                if note is NULL:
                    return out_of_memory(x)
                note[0] = UNSAFE
                note[1] = uri
                if self.shared is not None:
                    self.changing[<size_t><void*>x] = self.key.uri_name()
            return CONTINUE
        single = survey(head, &personal)
        if head.has_body or head.upgrade or single:
            self.bypassed[0] += 1
            return CONTINUE
        if x.consumer is not None and not self.key.by_consumer:
            personal = True
        if not self.key.write(x, &key, &uri):
            return out_of_memory(x)
        read_control(head, &wanted)
        if not self.obeys:
            overrule(&wanted)
        now = x.stages.reactor.now
        stored = self.store.find(&key, head, self.marks.get(uri))
        if self.shared is not None and not self.is_sure(stored, now) and self.shared.ready:
            return self.look(x, &key, uri, &wanted, personal, stored)
        return self.decide(x, &key, uri, &wanted, personal, stored, None, None)

    cdef Verdict decide(self, Exchange x, const Hash* key, uint64_t uri, const Control* wanted, bint personal,
                        Stored stored, Location place, Ticket ticket) noexcept:
        cdef uint64_t now = x.stages.reactor.now
        cdef Use use
        if stored is not None and (stored.open or not personal):
            use = judge(&stored.terms, wanted, now)
            stored.visited = True
            if use == USE:
                self.hits[0] += 1
                x.answer = stored
                return ANSWER
            if use == USE_STALE or (use == USE_AND_ASK and self.refreshes(x, stored, key, personal)):
                self.stale[0] += 1
                x.answer = stored
                return ANSWER
        if wanted.only_if_cached:
            self.misses[0] += 1
            return refuse(x, self.not_stored)
        return self.miss(x, key, uri, wanted, personal, stored, place, ticket, now)

    cdef Verdict miss(self, Exchange x, const Hash* key, uint64_t uri, const Control* wanted, bint personal,
                      Stored stored, Location place, Ticket ticket, uint64_t now) noexcept:
        cdef Errand errand = Errand.__new__(Errand)
        cdef Errand leader
        cdef uint64_t* note
        cdef bint get = is_method(x, b"GET", 3)
        if head_clone(&errand.head, &x.request) < 0:
            return out_of_memory(x)
        note = self.errands.put(<void*>x)
        if note is NULL:
            return out_of_memory(x)
        note[0] = <uint64_t><size_t><void*>errand
        Py_INCREF(errand)
        errand.key = key[0]
        errand.name = (<char*>key)[:sizeof(Hash)]
        errand.uri = uri
        errand.personal = personal
        errand.plan = x.plan
        errand.keeps = get and not wanted.no_store
        errand.why = b"uri-miss" if stored is None else b"stale"
        if stored is not None and wanted.no_cache:
            errand.why = b"request"
        if stored is None or not (stored.open or not personal):
            errand.stale = None
        else:
            errand.stale = stored
        errand.path = path_of(x)
        errand.place = stored.place if place is None and stored is not None else place
        if (personal or self.wait_time is NULL or wanted.no_cache or wanted.max_age == 0
                or (stored is not None and stored.terms.always_ask)):
            self.go(x, errand)
            return CONTINUE
        leader = self.leaders.get(errand.name)
        if leader is not None and self.follow(leader, errand):
            errand.ticket = wait(x) if ticket is None else ticket
            return WAIT
        if (leader is None and errand.keeps and not asks_for_less(&x.request, errand.stale)
                and self.apart.find(errand.name, sizeof(Hash), now) is None):
            self.lead(errand)
        self.go(x, errand)
        return CONTINUE

    cdef void go(self, Exchange x, Errand errand) noexcept:
        """On to the origin."""
        errand.at = clock()
        if errand.stale is not None and errand.keeps and has_validator(&errand.stale.head):
            errand.validates = True
            add_validators(&x.request, &errand.stale.head)

    # Many at once: one goes, the others wait

    cdef void resume(self, Errand errand, Stored stored) noexcept:
        cdef Ticket ticket = errand.ticket
        errand.ticket = None
        if current(ticket):
            if stored is not None:
                errand.collapsed = True
                stored.visited = True
                self.collapsed[0] += 1
                ticket.exchange.answer = stored
            else:
                self.go(ticket.exchange, errand)
        ticket.resume()

    def settle(self, Errand leader not None):
        """Its answer is there, or will not come: those who wait are told."""
        cdef Errand errand, following = None
        cdef Stored stored = self.usable(leader) if leader.shared and not leader.lost else None
        cdef bint alone = stored is None and not leader.lost
        if alone and leader.shared and not self.serves_late(leader):
            self.apart.put(leader.name, True, clock() + APART_FOR)      # too large, or of no use to others
        for each in self.dismiss(leader):
            errand = <Errand>each
            if not current(errand.ticket):
                continue
            stored = None if alone else self.usable(errand)
            if stored is not None:
                self.resume(errand, stored)
            elif alone or errand.turns >= TURNS:
                self.resume(errand, None)
            elif following is not None:
                if not self.follow(following, errand):
                    self.resume(errand, None)
            elif errand.keeps:
                following = errand      # it wants another variant, or its leader's client has gone
                self.lead(errand)
            else:
                self.resume(errand, None)
        if following is not None:
            self.resume(following, None)

    cdef bint serves_late(self, Errand errand) noexcept:
        """Is there what may be used while it is asked for anew?"""
        cdef Stored stored = self.store.find(&errand.key, &errand.head, self.marks.get(errand.uri))
        return stored is not None and not stored.terms.never_stale and stored.terms.late > 0

    cdef Stored usable(self, Errand errand):
        cdef Stored stored = self.store.find(&errand.key, &errand.head, self.marks.get(errand.uri))
        if (stored is None or stored.terms.always_ask
                or current_age(&stored.terms, clock()) >= stored.terms.lifetime):
            return None
        return stored

    # In the background

    cdef bint refreshes(self, Exchange x, Stored stored, const Hash* key, bint personal) noexcept:
        """Is somebody asking for it anew, or is it now?

        The gateway's own requests pass no policies. Where some come after this one, a client's request has
        to go, and the others are given what is stored meanwhile.
        """
        cdef bytes name = (<char*>key)[:sizeof(Hash)]
        cdef Refresh refresh
        cdef Errand errand
        if name in self.refreshing or name in self.leaders:
            return True
        if x.entered != len(x.plan.policies) or len(self.refreshing) >= REFRESHING:
            return False
        errand = Errand.__new__(Errand)
        errand.key = stored.key
        errand.name = name
        errand.uri = stored.uri
        errand.at = clock()
        errand.path = stored.path
        errand.keeps = True
        errand.personal = personal
        errand.stale = stored
        errand.place = stored.place
        if head_clone(&errand.head, &x.request) < 0:
            return False
        errand.validates = has_validator(&stored.head)
        refresh = Refresh(self.calls, x.plan, b"GET", x.request.data[
            x.request.target:x.request.target + x.request.target_length], fields_for(x, stored))
        refresh.cache = self
        refresh.errand = errand
        refresh.on_behalf(x)
        self.refreshing[name] = refresh
        self.loop.call_soon(refresh.go)
        return True

    cdef Draft renew(self, Exchange x, Errand errand):
        """The origin's answer to a request that was to be kept takes the place of what is stored: now, or as
        the draft that is returned once it has its body."""
        cdef Head* head = &x.response
        cdef Stored fresh
        cdef Draft draft
        cdef Control said
        cdef uint64_t now = clock()
        if head.status == 304:
            if errand.validates:
                fresh = freshened(errand, head, &self.guess, now)
                self.replace(errand, fresh)
            return None
        read_control(head, &said)
        draft = draft_of(head, &x.request, &said, errand, &self.guess, self.store, self.max_object,
                         self.tag_field, now)
        if draft is None and head.status < 500 and errand.stale is not None:
            self.forget(errand.stale)
        return draft

    cdef void replace(self, Errand errand, Stored fresh) noexcept:
        cdef Stored old = errand.stale
        errand.stale = fresh
        if fresh is None:
            self.forget(old)
            return
        try:
            self.store.put(fresh)
        except MemoryError:
            self.store.remove(old)

    # On the way out

    cdef Errand errand_of(self, Exchange x):
        cdef uint64_t* note = self.errands.get(<void*>x)
        return None if note is NULL or note[0] == UNSAFE else <Errand><void*><size_t>note[0]

    cdef Verdict response(self, Exchange x) noexcept:
        cdef uint64_t* note = self.errands.get(<void*>x)
        cdef Errand errand
        if type(x.answer) is Stored:
            return self.tell_hit(x, None if note is NULL else <Errand><void*><size_t>note[0])
        if note is NULL:
            return CONTINUE if x.answer is not None else self.tell_miss(x, b"bypass", False)
        if note[0] == UNSAFE:
            if x.fault == NO_FAULT and x.answer is None and 200 <= x.response.status < 400:
                self.marks.set(note[1], clock())        # RFC 9111 section 4.4
                if self.shared is not None:
                    return self.changed(x, self.tell_miss(x, b"method", False))
            return self.tell_miss(x, b"method", False)
        errand = <Errand><void*><size_t>note[0]
        if x.answer is None and x.response.status >= 500 and self.serves_error(x, errand):
            return self.give(x, errand)
        if x.fault != NO_FAULT or x.answer is not None:
            return self.tell_miss(x, errand.why, False)
        return self.answered(x, errand)

    cdef Verdict answered(self, Exchange x, Errand errand) noexcept:
        """By the origin."""
        cdef Draft draft
        cdef unsigned int status = x.response.status
        if status == 304 and errand.validates:
            return self.freshen(x, errand)
        self.misses[0] += 1
        draft = None
        if errand.keeps and x.plan is errand.plan:      # a split chooses by what is not in the key
            draft = self.renew(x, errand)
        if self.tag_field is not None:
            drop_lines(&x.response, self.tag_field)
        if draft is not None:
            errand.shared = True
            install(x, draft)
        elif errand.leads and status < 500:
            self.apart.put(errand.name, True, clock() + APART_FOR)
            self.let_go(errand)
        return self.tell_miss(x, errand.why, draft is not None)

    cdef Verdict freshen(self, Exchange x, Errand errand) noexcept:
        """The 304 was for the cache; the client gets what is stored."""
        cdef bint keep_alive = x.response.keep_alive
        cdef Stored old = errand.stale
        self.renew(x, errand)
        self.revalidated[0] += 1
        errand.shared = errand.stale is not None
        if errand.stale is None:
            errand.stale = old          # good for this once
        if errand.stale.fill(x, &errand.head) < 0:
            return out_of_memory(x)
        x.response.keep_alive = keep_alive      # what the connection to the upstream goes by
        if x.response.target_length and not is_method(x, b"HEAD", 4):
            try:
                set_response_body(x, errand.stale.body[
                    x.response.target:x.response.target + x.response.target_length])
            except MemoryError:
                return out_of_memory(x)
        return self.tell_use(x, errand.stale, b"; fwd=stale; fwd-status=304", False)

    cdef bint serves_error(self, Exchange x, Errand errand) noexcept:
        """May what is stored stand in for the origin, which has failed (RFC 5861 section 4)?"""
        cdef Stored stored = errand.stale
        cdef const Terms* terms
        if stored is None or x.response.status not in (500, 502, 503, 504):
            return False
        terms = &stored.terms
        return (not terms.never_stale and not terms.always_ask
                and current_age(terms, clock()) - terms.lifetime < terms.faulty)

    cdef Verdict give(self, Exchange x, Errand errand) noexcept:
        cdef StandIn stand_in = StandIn.__new__(StandIn)
        self.stale[0] += 1
        x.fault = NO_FAULT
        stand_in.cache = self
        stand_in.errand = errand
        x.answer = stand_in
        return ANSWER

    # What clients are told

    cdef Verdict tell_hit(self, Exchange x, Errand errand) noexcept:
        cdef const char* how = b"; fwd=miss; collapsed"
        if errand is None:
            how = b"; hit"
        return self.tell_use(x, <Stored>x.answer, how, True)

    cdef Verdict tell_use(self, Exchange x, Stored stored, const char* how, bint ttl) noexcept:
        if self.tag_field is not None:
            drop_lines(&x.response, self.tag_field)
        return CONTINUE if say_used(x, stored, self.status, how, ttl) == 0 else out_of_memory(x)

    cdef Verdict tell_miss(self, Exchange x, const char* why, bint stored) noexcept:
        return CONTINUE if say_forwarded(x, self.status, why, stored) == 0 else out_of_memory(x)

    cdef void end(self, Exchange x) noexcept:
        cdef uint64_t* note = self.errands.get(<void*>x)
        cdef Errand errand
        if note is NULL:
            return
        if note[0] == UNSAFE:
            self.errands.drop(<void*>x)
            self.changing.pop(<size_t><void*>x, None)
            return
        errand = <Errand><void*><size_t>note[0]
        self.errands.drop(<void*>x)
        if errand.leads:
            errand.lost = x.fault in (CLIENT_GONE, CLIENT_STALLED)
            self.loop.call_soon(self.settle, errand)
        Py_DECREF(errand)


cdef void overrule(Control* wanted) noexcept:
    """What a client says is not what counts."""
    wanted.no_store = wanted.no_cache = wanted.only_if_cached = False
    wanted.max_age = wanted.max_stale = wanted.min_fresh = -1


cdef bytes path_of(Exchange x):
    return x.request.data[x.asked:x.asked + x.asked_length]
