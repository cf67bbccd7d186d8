from tetrapylon._core.reactor cimport DeadlineQueue
from tetrapylon._core.upstreams.pool cimport Pool, UpstreamConnection
from tetrapylon._core.upstreams.target cimport Target


cdef UpstreamConnection begin(Pool upstream, Target target, DeadlineQueue* patience)
