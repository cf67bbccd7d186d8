"""What a process keeps in memory, and can do without while it sleeps.

After `malloc_trim(3)` and `madvise(2)`.
"""

def trim_heap() -> bool:
    """Gives free memory of the heap back to the system; whether there was any. Without glibc: never."""

def forget_files() -> int:
    """Unmaps the pages of all files that are mapped to be read, code first of all; how many bytes that were.

    They stay in the page cache, and come back one by one when they are used. Raises OSError where /proc
    cannot be read.
    """
