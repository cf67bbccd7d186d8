"""Memory that all processes of a gateway share, and that the next generation of them goes on with."""

from typing import Final

from typing_extensions import disjoint_base

SEALS: Final[int]
"""What a segment's file is sealed with (fcntl): its size never changes again."""

@disjoint_base
class Segment:
    """A file in memory (memfd) that is mapped as a whole: what each kind of shared memory derives from.

    A kind makes it before the fork. With `fd` it goes on with one that another process made: it then has a
    descriptor of its own, and the given one stays with whoever gave it. Whatever was mapped stays so until
    the object goes, and with it its descriptor.

    All kinds raise ValueError where `fd` holds no segment of the same kind, layout and numbers, or one whose
    size is not sealed; and OSError, with the segment's name as `filename`, where there is no memory or no
    descriptor for it.
    """

    name: Final[str]
    """What it holds: `board`; as `memfd:tetrapylon-board` it stands in /proc."""
    size: Final[int]
    """Bytes, those that nobody has touched included."""

    @property
    def fd(self) -> int:
        """The descriptor, -1 once closed."""

    def close_fd(self) -> None:
        """Closes it in a process that hands it to nobody; the memory stays mapped. Again: nothing happens."""
