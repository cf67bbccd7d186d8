# A destination that asks several upstreams and makes one JSON answer of theirs.

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.code.json_edit cimport Edit
from tetrapylon._core.exchange cimport Destination, Exchange, Fault, Plan, Sink, Stages
from tetrapylon._core.http.template cimport Template
from tetrapylon._core.stages cimport Pipeline
from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.upstreams.call cimport Call


cdef class PartStages(Pipeline):
    # The stages of parts that have policies of their own: those run as a route's do, and a fault ends the
    # part instead of being answered.
    pass


cdef class Part:
    # One of the requests that an answer is made of. Immutable.
    cdef readonly str name
    cdef bytes label                    # the name, for the wire
    cdef bytes key                      # as JSON
    cdef bytes reason                   # its failure in logs
    cdef Stages stages
    cdef Plan plan
    cdef bytes method
    cdef Template path
    cdef tuple fields                   # (part, path within it, text) that the template's groups stand for
    cdef tuple before                   # the parts that wait for this one
    cdef Py_ssize_t waits               # for how many it waits itself
    cdef tuple forward                  # names of the client's fields that it is told, in lower case
    cdef bint sends_body
    cdef bint required
    cdef bytes default                  # JSON, in place of an answer that failed; None: nothing is
    cdef frozenset passes               # statuses with which its answer is the client's
    cdef size_t limit
    cdef Edit edit                      # None: its answer stays as it is
    cdef bint flatten
    cdef bytes group                    # as JSON; None: its member is the answer's own
    cdef Slab slab                      # keeps the word alive
    cdef uint64_t* failures

    cdef bint tells(self, const char* name, size_t n) noexcept


cdef class Gathering:
    # What is known of one exchange's parts; its `attempt`.
    cdef Aggregate aggregate
    cdef Exchange x
    cdef uint32_t generation
    cdef list calls                     # those under way, by part
    cdef list said                      # what each has answered, JSON, for those that wait for it
    cdef list shown                     # what goes into the answer; None: nothing
    cdef list waits                     # for how many each waits still
    cdef list missing                   # names of those that failed
    cdef Py_ssize_t left
    cdef bint over

    cdef bint live(self) noexcept
    cdef void stop(self) noexcept


cdef class PartCall(Call):
    cdef Gathering gathering
    cdef Part part
    cdef Py_ssize_t index
    cdef Fault cause


cdef class Intake(Sink):
    # Takes the request's body, where a part is sent it.
    cdef Aggregate aggregate


cdef class Aggregate(Destination):
    cdef tuple parts
    cdef bint sends_body
    cdef bint plain                     # each part is a member of the answer itself
    cdef size_t body_limit
    cdef Intake intake

    cdef void gather(self, Exchange x) noexcept
    cdef int ask(self, Gathering g, Py_ssize_t index) except -1
    cdef void heard(self, PartCall call) noexcept
    cdef int judge(self, Gathering g, PartCall call) except -1
    cdef int failed(self, Gathering g, Py_ssize_t index, int status, bytes error, str detail) except -1
    cdef int settled(self, Gathering g, Py_ssize_t index) except -1
    cdef int passes(self, Gathering g, PartCall call) except -1
    cdef int answer(self, Gathering g) except -1
    cdef bytes merged(self, list shown)
