from libc.errno cimport errno
from libc.string cimport memcpy
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport close

import fcntl
import os

# Where a mapped file is cut short, whoever touches what is missing is killed (SIGBUS): so nobody can.
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


cdef class Segment:
    def __cinit__(self):
        self.descriptor = -1

    def __dealloc__(self):
        if self.base is not NULL:
            munmap(self.base, self.size)
        if self.descriptor >= 0:
            close(self.descriptor)

    cdef bint open(self, str name, str layout, size_t size, int fd) except -1:
        """Makes it, or goes on with another's; whether it was made now, and so is all zeros.

        `layout`: whatever has to be the same for its words to mean the same; it is compared as it stands.
        """
        cdef bytes head = f"{name}: {layout}".encode().ljust(HEAD, b"\0")
        cdef bint fresh = fd < 0
        self.name = name
        self.size = size
        try:
            if fresh:
                self.descriptor = os.memfd_create(f"tetrapylon-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
                os.ftruncate(self.descriptor, size)
                fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, SEALS)
            else:
                check(fd, head, size)
                self.descriptor = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)
            self.map(self.descriptor)
        except OSError as error:
            raise failed(error, f"{size} bytes of shared memory", f"tetrapylon-{name}")
        if fresh:
            memcpy(self.base, <const char*>head, HEAD)
        return fresh

    cdef int open_file(self, str path, size_t size) except -1:
        """Maps a file that has a name instead, made if there is none: all of it is the caller's."""
        cdef int fd
        self.name = path
        self.size = size
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, size)
                self.map(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise failed(error, f"{size} bytes of a file", path)
        return 0

    cdef int map(self, int fd) except -1:
        cdef void* base = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        cdef int code = errno
        if base == MAP_FAILED:
            raise OSError(code, os.strerror(code))
        self.base = <char*>base
        return 0

    @property
    def fd(self):
        return self.descriptor

    def close_fd(self):
        cdef int fd = self.descriptor
        self.descriptor = -1
        if fd >= 0:
            os.close(fd)


cdef int check(int fd, bytes head, size_t size) except -1:
    """Raises ValueError where that is no segment of this head and size, or one that may change its size."""
    cdef bytes found = os.pread(fd, HEAD, 0)
    if found != head:
        raise ValueError(f"descriptor {fd} holds {words_of(found)!r}, not {words_of(head)!r}")
    if <size_t>os.fstat(fd).st_size != size:
        raise ValueError(f"descriptor {fd}: {os.fstat(fd).st_size} bytes of {words_of(head)!r}, not {size}")
    if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS != SEALS:
        raise ValueError(f"descriptor {fd}: the size of {words_of(head)!r} is not sealed")
    return 0


cdef str words_of(bytes head):
    return head.partition(b"\0")[0].decode("utf-8", "replace")


cdef object failed(error, str what, str name):
    return OSError(error.errno, f"{what}: {error.strerror}", name)
