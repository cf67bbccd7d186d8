from tetrapylon._core.pool cimport Pool, UpstreamConnection
from tetrapylon._core.reactor cimport DeadlineQueue
from tetrapylon._core.target cimport Target


cdef UpstreamConnection begin(Pool upstream, Target target, DeadlineQueue* patience)
