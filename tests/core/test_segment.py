"""Segments: a file in memory for each kind, of a size that stays, mapped once, handed over, closed once."""

import errno
import gc
import mmap
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import F_ADD_SEALS, F_GET_SEALS, F_SEAL_WRITE, fcntl

import pytest

from tetrapylon._core.shared.board import Board
from tetrapylon._core.shared.flights import Flights
from tetrapylon._core.shared.limits import Table, Windows
from tetrapylon._core.shared.marks import Marks
from tetrapylon._core.shared.moves import Moves
from tetrapylon._core.shared.segment import SEALS, Segment
from tetrapylon._core.shared.series import Series
from tetrapylon._core.telemetry.counters import Slabs

Make = Callable[[int], Segment]

PAGE = mmap.PAGESIZE
LARGE = 1 << 24  # entries of a table: 256 MiB, of which none is touched


def slabs(workers: int, fd: int) -> Slabs:
    others = len(Slabs(1, 0).descriptors) - 1
    return Slabs(workers, 5, (fd, *(-1,) * others))


# Each kind, and the same with other numbers.
KINDS: dict[str, tuple[Make, Make]] = {
    "board": (lambda fd: Board(8, fd), lambda fd: Board(9, fd)),
    "moves": (lambda fd: Moves(8, fd), lambda fd: Moves(9, fd)),
    "series": (lambda fd: Series(2, 8, fd=fd), lambda fd: Series(2, 4, width=2, fd=fd)),
    "limits": (lambda fd: Table(64, fd), lambda fd: Table(128, fd)),
    "flights": (lambda fd: Flights(2, 256, fd), lambda fd: Flights(1, 512, fd)),
    "marks": (Marks, lambda fd: Series(1, fd=fd)),
    "counters": (lambda fd: slabs(2, fd), lambda fd: slabs(3, fd)),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Make:
    return KINDS[kind][0]


@pytest.fixture
def descriptors() -> Iterator[Callable[[int], int]]:
    """Closes in the end what was given to it."""
    taken: list[int] = []

    def closes(fd: int) -> int:
        taken.append(fd)
        return fd

    yield closes
    for fd in taken:
        os.close(fd)


def copy(segment: Segment, size: int, seals: int = SEALS, *, word: bytes = b"", other: bytes = b"") -> int:
    """A file of another `size` with the beginning of a segment, in which one word may be another."""
    fd = os.memfd_create("copy", os.MFD_ALLOW_SEALING)
    os.write(fd, os.pread(segment.fd, PAGE, 0).replace(word, other))
    os.ftruncate(fd, size)
    fcntl(fd, F_ADD_SEALS, seals)
    return fd


def mapped(inode: int) -> int:
    """How often this process has mapped a file."""
    with open("/proc/self/maps", encoding="ascii") as maps:
        return sum(line.split()[4] == str(inode) for line in maps)


def held() -> Counter[str]:
    """The segments that this process has open or mapped, by what /proc calls them."""
    gc.collect()
    found: Counter[str] = Counter()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the folder's own
            found[os.readlink(f"/proc/self/fd/{fd}")] += 1
    with open("/proc/self/maps", encoding="ascii") as maps:
        found.update(line.partition("/memfd")[2] for line in maps)
    return Counter({name: count for name, count in found.items() if "tetrapylon-" in name})


@contextmanager
def at_most(what: int, most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


class TestMade:
    def test_it_is_named_in_proc_by_what_it_holds(self, kind: str, make: Make) -> None:
        segment = make(-1)
        assert segment.name == kind
        assert os.readlink(f"/proc/self/fd/{segment.fd}").startswith(f"/memfd:tetrapylon-{kind} ")

    def test_it_has_its_size_and_is_mapped_once(self, make: Make) -> None:
        segment = make(-1)
        found = os.fstat(segment.fd)
        assert found.st_size == segment.size
        assert mapped(found.st_ino) == 1

    def test_its_size_never_changes(self, make: Make) -> None:
        segment = make(-1)
        for size in (0, segment.size - 1, segment.size + 1):
            with pytest.raises(PermissionError):
                os.ftruncate(segment.fd, size)
        assert os.fstat(segment.fd).st_size == segment.size

    def test_nobody_adds_a_seal(self, make: Make) -> None:
        segment = make(-1)
        assert fcntl(segment.fd, F_GET_SEALS) == SEALS
        with pytest.raises(PermissionError):
            fcntl(segment.fd, F_ADD_SEALS, F_SEAL_WRITE)

    def test_a_program_that_is_started_does_not_inherit_it(self, make: Make) -> None:
        first = make(-1)
        assert not os.get_inheritable(first.fd)
        assert not os.get_inheritable(make(first.fd).fd)

    def test_what_nobody_has_touched_takes_no_memory(self, make: Make) -> None:
        # Its own page and, of series, that of the overflow's name.
        assert os.fstat(make(-1).fd).st_blocks * 512 <= 2 * PAGE


class TestHandedOver:
    def test_it_is_the_same_memory(self, make: Make) -> None:
        first = make(-1)
        other = make(first.fd)
        assert other.size == first.size
        assert mapped(os.fstat(first.fd).st_ino) == 2

    def test_the_given_descriptor_stays_the_givers(self, make: Make) -> None:
        first = make(-1)
        given = first.fd
        other = make(given)
        assert other.fd != given
        other.close_fd()
        assert os.fstat(given).st_size == first.size
        other = make(given)
        first.close_fd()
        assert os.fstat(other.fd).st_size == first.size

    def test_it_outlives_who_made_it(self, make: Make) -> None:
        first = make(-1)
        other = make(first.fd)
        inode = os.fstat(other.fd).st_ino
        del first
        third = make(other.fd)
        assert os.fstat(third.fd).st_ino == inode
        assert mapped(inode) == 2

    def test_all_of_a_gateways_go_to_another_program(self) -> None:
        first = Slabs(2, 5)
        first.board.mark("shop", "a:80", False)
        first.moves.set_share("users", 0.25)
        assert first.amounts.rates.decide(b"ada", Windows([(1, 3600.0, 1)]))["allowed"]
        successor = """
import sys
from tetrapylon._core.shared.limits import Windows
from tetrapylon._core.telemetry.counters import Slabs

slabs = Slabs(2, 5, [int(fd) for fd in sys.argv[1:]])
(row,) = slabs.board.rows()
assert row["checked"] == "unhealthy", row
assert slabs.moves.share("users") == 0.25
assert not slabs.amounts.rates.decide(b"ada", Windows([(1, 3600.0, 1)]))["allowed"]
slabs.board.mark("shop", "a:80", True)
slabs.slab(1).count("successors_total", {}, 1)
slabs.slab(1).count_accept()
"""
        subprocess.run(
            [sys.executable, "-c", successor, *map(str, first.descriptors)],
            pass_fds=first.descriptors,
            check=True,
        )
        (row,) = first.board.rows()
        assert row["checked"] == "healthy"
        assert ("successors_total", 1) in first.series.totals()
        assert first.totals().worker()["accepted"] == 1


class TestRefused:
    """Nothing is taken of what does not fit, and the descriptor stays open with whoever gave it."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self) -> Iterator[None]:
        before = held()
        yield
        assert held() - before == Counter()

    def test_another_kind(self, kind: str, make: Make) -> None:
        given = Marks() if kind == "board" else Board()
        with pytest.raises(ValueError, match=f"holds '{given.name}: .*', not '{kind}: "):
            make(given.fd)
        assert os.fstat(given.fd).st_size == given.size

    def test_other_numbers(self, kind: str, make: Make) -> None:
        given = KINDS[kind][1](-1)
        with pytest.raises(ValueError, match=rf"descriptor {given.fd} holds '.*', not '{kind}: .*'"):
            make(given.fd)

    def test_another_layout(self, make: Make, descriptors: Callable[[int], int]) -> None:
        segment = make(-1)
        given = descriptors(copy(segment, segment.size, word=b": layout ", other=b": layout 9"))
        with pytest.raises(ValueError, match=r"holds '.*: layout 9"):
            make(given)

    @pytest.mark.parametrize("more", [-1, 1, PAGE])
    def test_another_size(self, more: int, make: Make, descriptors: Callable[[int], int]) -> None:
        segment = make(-1)
        given = descriptors(copy(segment, segment.size + more))
        with pytest.raises(ValueError, match=f"{segment.size + more} bytes of .*, not {segment.size}"):
            make(given)

    @pytest.mark.parametrize("seals", [0, SEALS & (SEALS - 1)], ids=["none", "one missing"])
    def test_a_size_that_may_change(self, seals: int, make: Make, descriptors: Callable[[int], int]) -> None:
        segment = make(-1)
        given = descriptors(copy(segment, segment.size, seals))
        with pytest.raises(ValueError, match="is not sealed"):
            make(given)

    @pytest.mark.parametrize("content", [b"", b"\xff\0" * PAGE], ids=["empty", "binary"])
    def test_a_file_of_something_else(
        self, content: bytes, make: Make, descriptors: Callable[[int], int]
    ) -> None:
        given = descriptors(os.memfd_create("other"))
        os.write(given, content)
        with pytest.raises(ValueError, match=f"descriptor {given} holds '"):
            make(given)

    def test_no_file(self, kind: str, make: Make, descriptors: Callable[[int], int]) -> None:
        given, writer = map(descriptors, os.pipe())
        with pytest.raises(OSError, match=f"tetrapylon-{kind}") as caught:
            make(given)
        assert caught.value.errno == errno.ESPIPE
        assert os.get_blocking(writer)

    def test_a_descriptor_that_is_closed(self, kind: str, make: Make) -> None:
        given = os.memfd_create("closed")
        os.close(given)
        with pytest.raises(OSError, match="shared memory: Bad file descriptor") as caught:
            make(given)
        assert (caught.value.errno, caught.value.filename) == (errno.EBADF, f"tetrapylon-{kind}")

    def test_all_of_a_gateways_for_one_that_does_not_fit(self) -> None:
        first = Slabs(2, 5)
        for place, fd in enumerate(first.descriptors):
            wrong = [*first.descriptors]
            wrong[place] = first.descriptors[place - 1]
            with pytest.raises(ValueError, match=f"descriptor {wrong[place]} holds"):
                Slabs(2, 5, wrong)
            assert os.fstat(fd).st_size > 0
        with pytest.raises(ValueError, match="9 descriptors of shared memory: expected 10"):
            Slabs(2, 5, first.descriptors[:-1])


class TestNoRoom:
    """The error says of what, how much, and why; nothing is left of the attempt."""

    @pytest.fixture(params=["made", "handed over"])
    def attempt(self, request: pytest.FixtureRequest) -> Callable[[], Segment]:
        first = Table(LARGE) if request.param == "handed over" else None
        return lambda: Table(LARGE, -1 if first is None else first.fd)

    def test_for_one_more_descriptor(self, attempt: Callable[[], Segment]) -> None:
        refused(attempt, resource.RLIMIT_NOFILE, 1, errno.EMFILE)

    def test_in_the_address_space(self, attempt: Callable[[], Segment]) -> None:
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as numbers:
            used = int(numbers.read().split()[0]) * PAGE
        refused(attempt, resource.RLIMIT_AS, used + LARGE, errno.ENOMEM)

    def test_for_a_file_of_that_size(self) -> None:
        refused(lambda: Table(LARGE), resource.RLIMIT_FSIZE, LARGE, errno.EFBIG)

    def test_for_one_of_many(self) -> None:
        """Those made before it go as well."""
        refused(lambda: Slabs(2, 5), resource.RLIMIT_FSIZE, 1 << 20, errno.EFBIG, "upstreams")


def refused(attempt: Callable[[], Segment], what: int, most: int, number: int, name: str = "limits") -> None:
    before = held()
    with pytest.raises(OSError, match=r"\d+ bytes of shared memory: ") as caught, at_most(what, most):
        attempt()
    assert (caught.value.errno, caught.value.filename) == (number, f"tetrapylon-{name}")
    assert held() - before == Counter()


class TestClosed:
    def test_the_memory_stays(self, make: Make) -> None:
        segment = make(-1)
        inode = os.fstat(segment.fd).st_ino
        segment.close_fd()
        assert segment.fd == -1
        assert mapped(inode) == 1

    def test_it_goes_with_the_object(self, make: Make) -> None:
        before = held()
        segment = make(-1)
        inode, fd = os.fstat(segment.fd).st_ino, segment.fd
        assert held() - before
        del segment
        assert mapped(inode) == 0
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
        assert held() - before == Counter()

    def test_twice_is_once(self, make: Make) -> None:
        """And another file that has got its number since stays open."""
        segment = make(-1)
        number = segment.fd
        segment.close_fd()
        other = os.open("/dev/null", os.O_RDONLY)
        if other != number:
            os.dup2(other, number)
            os.close(other)
        segment.close_fd()
        del segment
        gc.collect()
        assert os.readlink(f"/proc/self/fd/{number}") == "/dev/null"
        os.close(number)

    def test_of_a_gateways_the_one_stays_whose_locks_say_who_lives(self) -> None:
        slabs = Slabs(2, 5)
        slabs.close_descriptors()
        slabs.close_descriptors()
        flights = slabs.amounts.flights.fd
        assert [fd for fd in slabs.descriptors if fd >= 0] == [flights]
        assert os.fstat(flights).st_size == slabs.amounts.flights.size


def test_decisions_are_written_down_in_one_file_at_a_time(tmp_path: os.PathLike[str]) -> None:
    table = Table(64)
    first, second = (os.path.join(tmp_path, name) for name in ("first", "second"))
    for path in (first, second):
        table.record(path, 8)
        table.decide(b"ada", Windows([(1, 3600.0, 1)]))
    assert mapped(os.stat(first).st_ino) == 0
    assert mapped(os.stat(second).st_ino) == 1
    with pytest.raises(IsADirectoryError):
        table.record(os.fspath(tmp_path), 8)
    assert mapped(os.stat(second).st_ino) == 1
