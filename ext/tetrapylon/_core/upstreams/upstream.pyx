"""Upstreams: which target gets a request, when, and what becomes of it when that one fails."""

cimport cython
from libc.stdint cimport UINT64_MAX, uint64_t

from tetrapylon._core.exchange cimport *
from tetrapylon._core.http.message cimport Limits
from tetrapylon._core.http.wire cimport FIXED, PRESERVE, Additions, Via
from tetrapylon._core.lifetime cimport Lifetime
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, arm, clock, disarm
from tetrapylon._core.shared.board cimport HALF_OPEN, UNHEALTHY, add, load, store
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.balance cimport Balancer, RoundRobin, chance, draw
from tetrapylon._core.upstreams.connect cimport begin
from tetrapylon._core.upstreams.health cimport Breaker, Health
from tetrapylon._core.upstreams.hedge cimport Hedge
from tetrapylon._core.upstreams.limiter cimport Limiter
from tetrapylon._core.upstreams.line cimport Line, Waiter
from tetrapylon._core.upstreams.pool cimport HedgeTimer, Pool, UpstreamConnection, is_upload
from tetrapylon._core.upstreams.retry cimport CONNECT, PAUSES, RESET, TIMEOUT, Retry, Tries, tries_of
from tetrapylon._core.upstreams.target cimport SHARE_ONE, Target

cdef uint64_t RAMP_STEP = 100_000_000       # ns between two looks at a target in its slow start
cdef double RAMP_FLOOR = 0.1                # of its weight, at the start
cdef double SPARE = 1.4                     # a tier takes all requests while 1 / SPARE of it is well


cdef class Tier:
    pass


@cython.final
cdef class Upstream(Pool):
    def __init__(self, Reactor reactor not None, str name not None, list targets not None,
                 Via via not None, *, Slab slab not None, host=None, double connect=2.0, double wait=5.0,
                 double idle=55.0, Py_ssize_t max_connections=256, Py_ssize_t max_pending=1024,
                 Limits limits=None, Additions additions=None, Lifetime lifetime=None, Balancer balancer=None,
                 Health health=None, Breaker breaker=None, Breaker main_breaker=None, Limiter limiter=None,
                 Retry retry=None, Hedge hedge=None, double panic=0.0, double slow_start=0.0,
                 str zone not None="", bytes deadline_header=None, tell=None):
        """`host` None sends the client's Host on, b"" the target's own, other bytes themselves."""
        self.reactor = reactor
        self.name = name
        self.via = via
        self.host_kind = PRESERVE if host is None else FIXED
        self.host = host or None
        self.limits = limits or Limits()
        self.additions = additions
        self.deadline_header = deadline_header
        self.lifetime = lifetime or Lifetime()
        self.max_connections = max_connections
        self.max_pending = max_pending
        self.max_uploads = max_connections - max_connections // 4
        self.ready = Line()
        self.uploading = Line()
        self.connect_timeout = reactor.queue(connect)
        self.queue_timeout = reactor.queue(wait)
        self.pool_idle = reactor.queue(idle) if idle > 0 else NULL
        self.slab = slab
        self.counters = slab.worker
        self.tally = slab.upstream(name)
        self.ready.waiting = self.uploading.waiting = &self.tally.waiting
        self.board = slab.owner.board
        self.slot = self.board.claim(name, "")
        self.tell = tell
        self.balancer = balancer or RoundRobin()
        self.balancers = {}
        self.zone = zone
        self.health = health
        self.breaker = breaker
        self.main_breaker = main_breaker
        self.limiter = limiter
        self.retry = retry
        self.hedge = hedge
        self.hedging = hedge is not None and retry is not None
        self.panic = panic
        self.slow_start = <uint64_t>(slow_start * 1e9)
        judges = (health, breaker, main_breaker, limiter, hedge)
        self.observes = any(each is not None for each in judges)
        self.targets = []
        self.set_targets(targets)

    def set_targets(self, list targets not None):
        """Other targets from now on; those that are gone finish what they have begun."""
        cdef Target target
        cdef bint late = len(self.targets) > 0
        self.reactor.enter()
        for each in targets:
            target = <Target?>each
            if target.board is None:
                target.join(self.board, self.name)
                if late and not load(&target.slot.since):
                    store(&target.slot.since, self.reactor.now)     # where it is to start slowly
        gone = [each for each in self.targets if each not in targets]
        self.targets = list(targets)
        for each in gone:
            target = <Target>each
            target.gone = True
            target.fit = False
            while target.idle is not None:
                (<UpstreamConnection>target.idle).drop()
        self.review()
        self.serve_waiting()
        self.reactor.leave()

    def touch(self):
        """Tell the board that these targets are there. Now and then."""
        cdef uint64_t now = clock()
        self.slot.seen = now
        for each in self.targets:
            (<Target>each).slot.seen = now

    @property
    def usable(self):
        """The names of the targets that may be given a request now."""
        self.reactor.now = clock()
        self.review()
        return [(<Target>each).name for tier in self.tiers for each in (<Tier>tier).targets]

    # Destination

    cdef void start(self, Exchange x) noexcept:
        if x.request.has_body and not x.request_complete:
            x.source.pause(x)
        if self.retry is not None and x.tries is None:
            self.retry.budget.request(self.reactor.now)
        self.dispatch(x)

    cdef void cancel(self, Exchange x) noexcept:
        cdef UpstreamConnection connection, rival
        if type(x.attempt) is Waiter:
            (<Waiter>x.attempt).leave()
            x.attempt = None
        elif type(x.attempt) is Tries:
            disarm(<Tries>x.attempt)
            x.attempt = None
        elif x.attempt is not None:
            connection = <UpstreamConnection>x.attempt
            rival = connection.rival
            x.attempt = None
            if x.fault == TOTAL_TIMEOUT and not connection.heard:
                self.observe(connection.target, False, clock() - x.sent)
            connection.part()
            connection.drop()
            if rival is not None:
                rival.part()
                rival.drop()

    # Who may be picked

    cdef void review(self) noexcept:
        """Look at all targets anew: something has changed, or it is time to."""
        cdef uint64_t now = self.reactor.now
        cdef Target target
        self.epoch = load(&self.board.front.epoch)
        self.review_at = UINT64_MAX
        self.sole = None
        self.trials = False
        usable = []
        for each in self.targets:
            target = <Target>each
            target.fit = self.fit(target, now)
            if target.fit:
                usable.append(target)
            else:
                target.credit = 0
        if len(usable) < self.panic * len(self.targets):
            usable = [each for each in self.targets if (<Target>each).addresses and (<Target>each).share]
            for each in usable:
                (<Target>each).fit = True
                (<Target>each).trial = False
        self.bound(usable)
        self.arrange(usable)
        if len(usable) == 1 and not self.trials:
            self.sole = <Target>usable[0]

    cdef bint fit(self, Target target, uint64_t now) noexcept:
        cdef uint64_t weight = load(&target.slot.weight)
        cdef uint64_t since
        target.share = (<long>(weight - 1) if weight else target.weight) * SHARE_ONE
        target.trial = False
        if not target.addresses or not target.share or load(&target.slot.checked) == UNHEALTHY:
            return False
        if self.health is not None:
            if not self.health.back(target, now, self.tell):
                self.review_at = min(self.review_at, load(&target.slot.ejected_until))
                return False
            target.trial = load(&target.slot.trial) != 0
        if self.breaker is not None:
            if self.breaker.refuses(target.slot, now):
                self.review_at = min(self.review_at, load(&target.slot.opened) + self.breaker.open)
                return False
            if load(&target.slot.circuit) == HALF_OPEN:
                target.trial = True
        since = load(&target.slot.since)
        if self.slow_start and since and now < since + self.slow_start:
            target.share = max(1, <long>(
                target.share * max(RAMP_FLOOR, <double>(now - since) / <double>self.slow_start)))
            self.review_at = min(self.review_at, now + RAMP_STEP)
        return True

    cdef void bound(self, list usable) noexcept:
        """Of the connections, a target that keeps them all leaves half of the others' share to the others."""
        cdef Target target
        cdef double total = 0.0
        for each in usable:
            total += <double>(<Target>each).share
        for each in usable:
            target = <Target>each
            target.most = max(1, <Py_ssize_t>(
                self.max_connections * (0.5 + <double>target.share / (2.0 * total))))
            self.trials |= target.trial

    cdef int arrange(self, list usable) except -1:
        """Tiers in the order in which they are asked, each with its share of the requests."""
        cdef Tier tier
        cdef double left = 1.0, upto = 0.0
        ranked = {}
        for each in self.targets:
            target = <Target>each
            rank = (target.priority, bool(self.zone) and target.zone != self.zone)
            ranked.setdefault(rank, []).append(target)
        self.tiers = []
        shares = []
        for rank in sorted(ranked):
            well = [each for each in ranked[rank] if (<Target>each).fit]
            share = min(left, SPARE * len(well) / len(ranked[rank]))
            left -= share
            if not well:
                continue
            if rank not in self.balancers:
                self.balancers[rank] = self.balancer.again()
            tier = Tier.__new__(Tier)
            tier.targets = well
            tier.balancer = <Balancer>self.balancers[rank]
            self.tiers.append(tier)
            shares.append(share)
        total = sum(shares)
        for each, share in zip(self.tiers, shares):
            upto += share / total
            (<Tier>each).upto = upto
        return 0

    cdef Target pick(self, Exchange x):
        cdef Tier tier
        cdef double at
        if load(&self.board.front.epoch) != self.epoch or self.reactor.now >= self.review_at:
            self.review()
        if self.sole is not None:
            return self.sole
        if not self.tiers:
            return None
        tier = <Tier>self.tiers[0]
        if tier.upto < 1.0 and len(self.tiers) > 1:
            at = chance()
            for each in self.tiers:
                tier = <Tier>each
                if at < tier.upto:
                    break
        if self.trials or x.tries is not None:
            return self.pick_other(tier, x)
        return tier.balancer.pick(tier.targets, x)

    cdef Target pick_other(self, Tier first, Exchange x):
        """One that this request has not failed at yet, if there is one; on trial, one request at a time."""
        cdef Tries tries = <Tries>x.tries if x.tries is not None else None
        cdef list some
        for fresh in (True, False):
            for each in (first, *self.tiers):
                some = [
                    target for target in (<Tier>each).targets
                    if not ((<Target>target).trial and (<Target>target).active)
                    and not (fresh and tries is not None and tries.has(target))]
                if some:
                    return (<Tier>each).balancer.pick(some, x)
        return None

    cdef Target pick_roomy(self, Target full, Exchange x):
        """One that may have a connection more in place of `full`, which has its most; or else that one."""
        cdef list some
        for each in self.tiers:
            some = [
                target for target in (<Tier>each).targets
                if not (<Target>target).trial
                and ((<Target>target).idle is not None
                     or (<Target>target).connections < (<Target>target).most)]
            if some:
                return (<Tier>each).balancer.pick(some, x)
        return full

    cdef void unavailable(self, Exchange x) noexcept:
        """No target for this one: then there is none for those who wait, either."""
        cdef Fault fault = DNS_FAILED if self.targets else NO_TARGET
        for each in self.targets:
            if (<Target>each).addresses:
                fault = NO_TARGET
        while x is not None:
            add(&self.slot.unavailable, 1)
            x.stages.fail(x, fault)
            x = self.any_waiting() if not self.tiers else None

    # What became of a request

    cdef void observe(self, Target target, bint good, uint64_t took) noexcept:
        cdef uint64_t now
        if not self.observes:
            return
        now = self.reactor.now
        if self.health is not None:
            self.health.observe(target, self.targets, good, took, now, self.tell)
        if self.breaker is not None:
            self.breaker.observe(target.slot, self.board, good, took, now, target.name, self.tell)
        if self.main_breaker is not None:
            self.main_breaker.observe(self.slot, self.board, good, took, now, "", self.tell)
        if self.limiter is not None:
            self.limiter.observe(took, good, self.active)
        if self.hedging and good:
            self.hedge.learn(<double>took)

    cdef void answered(self, Target target, Exchange x) noexcept:
        self.balancer.answered(target, x)

    cdef DeadlineQueue* patience(self, Exchange x) noexcept:
        return self.retry.patience

    cdef bint hurries(self, Exchange x) noexcept:
        return (self.retry is not None and self.retry.patience is not NULL and self.retry.causes & TIMEOUT
                and self.retry.may(x))

    cdef bint would_retry(self, Exchange x) noexcept:
        return self.retry.may(x) and self.retry.budget.has(self.reactor.now)

    cdef bint withholds(self, Exchange x) noexcept:
        if self.retry is None or not self.retry.listed(x) or not self.retry.may(x):
            return False
        if self.retry.budget.has(self.reactor.now):
            return True
        add(&self.slot.retries_denied, 1)
        return False

    cdef void retry_after(self, Exchange x, Target target) noexcept:
        if not self.again(x, target):
            x.stages.fail(x, UPSTREAM_CLOSED)

    cdef void connect_failed(self, Exchange x, Target target, Fault fault) noexcept:
        """Another address or target may do: nothing of the request has left, whatever its method."""
        cdef Py_ssize_t addresses = 0
        self.counters.upstream_connect_failures += 1
        self.observe(target, False, 0)
        x.attempt = None
        x.connects += 1
        for item in self.targets:
            addresses += len((<Target>item).addresses)
        if x.connects < min(addresses, 8):
            x.resends += 1
            if len(self.targets) > 1:
                tries_of(x, self).tried.append(target)
            self.dispatch(x)
        else:
            self.failed(x, target, fault)

    cdef void failed(self, Exchange x, Target target, Fault fault) noexcept:
        if self.retry is None or not self.retry.causes & cause_of(fault) or not self.again(x, target):
            x.stages.fail(x, fault)

    cdef bint again(self, Exchange x, Target target) noexcept:
        """Send it once more, after a pause, if rules and budget allow."""
        cdef Tries tries
        cdef int step
        if not self.retry.may(x):
            return False
        if not self.retry.budget.take(self.reactor.now):
            add(&self.slot.retries_denied, 1)
            return False
        tries = tries_of(x, self)
        tries.tried.append(target)
        add(&self.slot.retries, 1)
        step = min(<int>tries.count, 2) * PAUSES + <int>(draw() % PAUSES)
        tries.count += 1
        x.resends += 1
        if self.retry.pausing:
            x.attempt = tries
            turn_to(x, FOR_UPSTREAM, clock())
            arm(self.reactor, tries, self.retry.pauses[step])
        else:
            self.dispatch(x)
        return True

    # Choice of a connection

    cdef UpstreamConnection take_idle(self, Target target):
        cdef UpstreamConnection connection = <UpstreamConnection>target.idle
        while connection is not None and connection.span.ends <= self.reactor.now:
            connection.drop()           # too old by now
            connection = <UpstreamConnection>target.idle
        if connection is not None:
            connection.unpool()
        return connection

    cdef void dispatch(self, Exchange x) noexcept:
        cdef Target target
        cdef UpstreamConnection connection
        if self.main_breaker is not None and (
                self.main_breaker.refuses(self.slot, self.reactor.now)
                or (load(&self.slot.circuit) == HALF_OPEN and self.active)):
            x.stages.fail(x, CIRCUIT_OPEN)
            return
        target = self.pick(x)
        if target is None:
            self.unavailable(x)
            return
        if not self.admits() or (self.uploads >= self.max_uploads and is_upload(x)):
            self.enqueue(x)
            return
        if target.idle is None and target.connections >= target.most:
            target = self.pick_roomy(target, x)
        connection = self.take_idle(target) if not x.replayed else None
        if connection is not None:
            self.counters.upstream_reuses += 1
            connection.reused = True
            connection.assign(x)
            return
        if self.makes_room():
            self.connect(x, target)
        else:
            self.enqueue(x)

    cdef bint makes_room(self) noexcept:
        """May a connection be opened, perhaps in the place of an idle one?"""
        cdef UpstreamConnection connection
        for item in self.targets:
            if self.connections < self.max_connections:
                break
            connection = self.take_idle(<Target>item)
            if connection is not None:
                connection.drop()
        return self.connections < self.max_connections

    cdef void connect(self, Exchange x, Target target) noexcept:
        cdef UpstreamConnection connection
        x.upstream_name = target.label
        turn_to(x, FOR_UPSTREAM, clock())
        connection = begin(self, target, self.connect_timeout)
        if connection is None:
            self.connect_failed(x, target, CONNECT_FAILED)
        else:
            connection.claim(x)
            connection.take(x)

    # One request, two targets

    cdef void plan_hedge(self, UpstreamConnection first) noexcept:
        cdef Exchange x = first.exchange
        if (x is None or self.hedge.patience is NULL or first.rival is not None or len(self.targets) < 2
                or not is_method(x, b"GET", 3) or x.request.has_body):
            return
        if first.hedge_timer is None:
            first.hedge_timer = HedgeTimer.__new__(HedgeTimer)
            first.hedge_timer.connection = first
        arm(self.reactor, first.hedge_timer, self.hedge.patience)

    cdef void hedge_now(self, UpstreamConnection first) noexcept:
        """The first target takes long: ask another, if one has room and the budget allows it."""
        cdef Exchange x = first.exchange
        cdef UpstreamConnection second
        cdef Target target
        if x is None or first.heard or first.rival is not None or not self.admits():
            return
        self.hedge.longer()
        target = self.pick_beside(first.target, x)
        if target is None:
            return
        if not self.retry.budget.take(self.reactor.now):
            add(&self.slot.retries_denied, 1)
            return
        second = self.take_idle(target)
        if second is None:
            second = begin(self, target, self.connect_timeout)
            if second is None:
                return
        else:
            second.reused = True
            self.counters.upstream_reuses += 1
        add(&self.slot.hedges, 1)
        second.exchange = x
        self.active += 1
        target.active += 1
        second.rival = first
        first.rival = second
        if not second.connecting:
            second.ask_too(x)

    cdef Target pick_beside(self, Target asked, Exchange x):
        cdef Tries tries = <Tries>x.tries if x.tries is not None else None
        cdef bint room = self.connections < self.max_connections
        cdef list some
        for each in self.tiers:
            some = [
                target for target in (<Tier>each).targets
                if target is not asked and not (<Target>target).trial
                and (tries is None or not tries.has(target))
                and ((<Target>target).idle is not None
                     or (room and (<Target>target).connections < (<Target>target).most))]
            if some:
                return (<Tier>each).balancer.pick(some, x)
        return None

    # The queue of exchanges that wait for a connection

    cdef bint admits(self) noexcept:
        return self.limiter is None or self.active < <Py_ssize_t>self.limiter.limit

    cdef void enqueue(self, Exchange x) noexcept:
        cdef Line line = self.uploading if is_upload(x) else self.ready
        cdef Waiter last, other
        if self.ready.length + self.uploading.length >= self.max_pending:
            last = self.ready.last
            other = self.uploading.last
            if last is None or (other is not None and other.priority > last.priority):
                last = other
            if last is None or last.priority <= x.plan.priority:
                x.stages.fail(x, QUEUE_FULL)
                return
            add(&self.slot.shed, 1)
            last.exchange.stages.fail(last.exchange, SHED)
        turn_to(x, FOR_UPSTREAM, clock())
        x.attempt = line.add(x, self.reactor, self.queue_timeout)

    cdef Exchange any_waiting(self):
        cdef Waiter waiter = self.ready.first if self.ready.first is not None else self.uploading.first
        cdef Exchange x
        if waiter is None:
            return None
        x = waiter.exchange
        waiter.leave()
        x.attempt = None
        return x

    cdef Exchange next_waiting(self):
        """Of those that may have a connection, the one that matters most, then has waited longest."""
        cdef Waiter waiter = self.ready.first
        cdef Waiter other = self.uploading.first
        cdef Exchange x
        if other is not None and self.uploads < self.max_uploads and (
                waiter is None or other.priority < waiter.priority
                or (other.priority == waiter.priority and other.exchange.began < waiter.exchange.began)):
            waiter = other
        if waiter is None:
            return None
        x = waiter.exchange
        waiter.leave()
        x.attempt = None
        return x

    cdef bint has_room(self) noexcept:
        """Is there a connection for one more, open or yet to be opened?"""
        if not self.admits():
            return False
        if self.connections < self.max_connections:
            return True
        for target in self.targets:
            if (<Target>target).idle is not None:
                return True
        return False

    cdef void serve_waiting(self) noexcept:
        """A connection was freed or closed. Whose turn it is may fail at once: then it is the next one's."""
        cdef Exchange x
        if self.serving or (self.ready.first is None and self.uploading.first is None):
            return
        self.serving = True
        while self.has_room():
            x = self.next_waiting()
            if x is None:
                break
            self.dispatch(x)
        self.serving = False

    @property
    def pending(self):
        return self.ready.length + self.uploading.length

    def close(self):
        """Drop the idle connections; those in use end with their exchange."""
        self.closing = True
        for target in self.targets:
            while (<Target>target).idle is not None:
                (<UpstreamConnection>(<Target>target).idle).drop()


cdef unsigned int cause_of(Fault fault) noexcept:
    if fault in (CONNECT_FAILED, CONNECT_TIMEOUT, TLS_FAILED, TLS_ALERTED):
        return CONNECT
    if fault in (UPSTREAM_CLOSED, RESPONSE_MALFORMED):
        return RESET
    return TIMEOUT if fault == RESPONSE_TIMEOUT else 0
