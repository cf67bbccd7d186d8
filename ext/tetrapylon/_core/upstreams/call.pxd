# Requests of the gateway's own: to an auth service, for a part of an answer, to refresh what is cached.

from tetrapylon._core.exchange cimport Exchange, Fault, Peer, Plan, Sink, Stages


cdef class CallStages(Stages):
    # The stages of such an exchange: no route, no policies, no log; what comes back goes on to the sink.
    pass


cdef class Call(Sink):
    # One request and its whole answer, in memory: source of the one and sink of the other, as a client is.
    cdef readonly Plan plan
    cdef Stages stages
    cdef Peer peer
    cdef Exchange exchange              # None: not begun, or over
    cdef bytes text                     # the head that is sent
    cdef bytes content                  # and the body
    cdef size_t limit                   # bytes of body that are taken
    cdef object on_done
    cdef list pieces                    # of the answer's body; None: there is one, in `payload`
    cdef size_t taken
    cdef readonly int status            # 0: no whole answer has come
    cdef readonly str fault             # why not
    cdef readonly list headers          # (name, value) as bytes
    cdef readonly bytes payload         # the answer's body

    cdef int begin(self) except -1
    cdef int write(self, Exchange x) except -1          # the request's head and body, into `x`
    cdef void on_behalf(self, Exchange x) noexcept      # before `begin`: of that one's client
    cdef void completed(self) noexcept                  # once, whether it has failed or not
