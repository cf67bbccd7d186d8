"""Tunnels: what an exchange becomes once both sides have switched protocols (RFC 9110 section 7.8)."""

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, arm, disarm
from tetrapylon._core.stream cimport NOWHERE, Connection, Stream
from tetrapylon._core.telemetry.counters cimport WorkerCounters


cdef Tunnel join(Exchange x, Reactor reactor, Stream downstream, Stream upstream, DeadlineQueue* idle,
                 DeadlineQueue* patience, WorkerCounters* counters):
    cdef Tunnel tunnel = Tunnel.__new__(Tunnel)
    tunnel.exchange = x
    tunnel.reactor = reactor
    tunnel.idle = idle
    tunnel.patience = patience
    tunnel.counters = counters
    counters.now.tunnels += 1
    tunnel.downstream = TunnelEnd.__new__(TunnelEnd)
    tunnel.upstream = TunnelEnd.__new__(TunnelEnd)
    tunnel.downstream.stream = downstream
    tunnel.upstream.stream = upstream
    tunnel.downstream.other = tunnel.upstream
    tunnel.upstream.other = tunnel.downstream
    tunnel.downstream.tunnel = tunnel.upstream.tunnel = tunnel
    downstream.owner = tunnel.downstream
    upstream.owner = tunnel.upstream
    downstream.resume_reading()
    upstream.resume_reading()
    tunnel.touch()
    return tunnel


cdef class Tunnel:
    cdef void touch(self) noexcept:
        arm(self.reactor, self.downstream, self.idle)

    cdef void finish(self) noexcept:
        """Close both sides, each after what is still queued for it; the exchange ends."""
        cdef Exchange x = self.exchange
        cdef Stream downstream = self.downstream.stream
        cdef Stream upstream = self.upstream.stream
        if self.over:
            return
        self.over = True
        self.counters.now.tunnels -= 1
        disarm(self.downstream)
        self.downstream.other = self.upstream.other = None
        self.downstream.part(downstream, self.reactor, self.patience)
        self.upstream.part(upstream, self.reactor, self.patience)
        self.exchange = None
        x.tunnel = None
        x.stages.finish(x)


cdef class TunnelEnd(Connection):
    cdef void part(self, Stream stream, Reactor reactor, DeadlineQueue* patience) noexcept:
        self.tunnel = None
        stream.close()
        if stream.closing:
            arm(reactor, self, patience)        # its peer has that long to read what is queued
        else:
            self.stream = NOWHERE

    cdef void data_received(self, const char* data, size_t n) noexcept:
        cdef Tunnel tunnel = self.tunnel
        if tunnel is None:
            return
        if self is tunnel.downstream:
            tunnel.exchange.bytes_in += n
        else:
            tunnel.exchange.bytes_out += n
        tunnel.touch()
        self.other.stream.write(data, n)

    cdef void eof_received(self) noexcept:
        if self.tunnel is None:
            return
        self.ended = True
        if self.other.ended:
            self.tunnel.finish()
        else:
            self.other.stream.shutdown()

    cdef void congested(self) noexcept:
        if self.tunnel is not None:
            self.other.stream.pause_reading()

    cdef void drained(self) noexcept:
        if self.tunnel is not None:
            self.tunnel.touch()
            self.other.stream.resume_reading()

    cdef void lost(self, int error) noexcept:
        if self.tunnel is not None:
            self.tunnel.finish()

    cdef void timed_out(self) noexcept:
        if self.tunnel is not None:
            self.tunnel.finish()
        else:
            self.stream.abort(False)
            self.stream = NOWHERE
