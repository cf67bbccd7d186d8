from libc.errno cimport errno
from libc.stdint cimport uintptr_t
from posix.mman cimport MADV_DONTNEED, madvise

import os

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    #define tetrapylon_trim() malloc_trim(0)
    #else
    #define tetrapylon_trim() 0
    #endif
    """
    int trim "tetrapylon_trim" () noexcept


def trim_heap() -> bool:
    return trim() != 0


def forget_files() -> int:
    cdef size_t given = 0
    cdef uintptr_t start, end
    for mapping in _mappings():
        start, end, resident = mapping
        if madvise(<void*>start, end - start, MADV_DONTNEED):
            raise OSError(errno, os.strerror(errno))
        given += resident
    return given


def _mappings():
    """(start, end, bytes that are mapped) of files that are mapped to be read, and were never written to."""
    found = []
    with open("/proc/self/smaps", "rb") as smaps:
        start = end = resident = 0
        mapped = False
        for line in smaps:
            name, _, rest = line.partition(b" ")
            if name == b"Rss:":
                resident = int(rest.split()[0]) * 1024
            elif name == b"Anonymous:":
                # A page that was written to (relocations, a debugger) cannot be read again from the file.
                if mapped and resident and int(rest.split()[0]) == 0:
                    found.append((start, end, resident))
            elif not name.endswith(b":"):
                start, end = (int(bound, 16) for bound in name.split(b"-"))
                access, _, _, inode = rest.split()[:4]
                mapped = b"w" not in access and access.endswith(b"p") and inode != b"0"
    return found
