"""What a process gives back of its memory, and what it must keep."""

import ctypes
import mmap
from pathlib import Path

import pytest

from tetrapylon._core.resident import forget_files, trim_heap

SIZE = 64 * mmap.PAGESIZE


def resident(path: Path) -> int:
    """Bytes of a file that this process has mapped and read."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))
    raise AssertionError(f"{path} is not mapped")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mapped"
    path.write_bytes(b"from the file..." * (SIZE // 16))
    return path


def private(path: Path, prot: int) -> mmap.mmap:
    with path.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), SIZE, flags=mmap.MAP_PRIVATE, prot=prot)


def test_a_files_pages_are_given_back_and_read_again(file: Path) -> None:
    with private(file, mmap.PROT_READ) as mapped:
        assert mapped[:] == file.read_bytes()
        assert resident(file) == SIZE
        assert forget_files() >= SIZE
        assert resident(file) == 0
        assert mapped[:] == file.read_bytes()


def test_what_was_written_is_kept_though_it_can_only_be_read_now(file: Path) -> None:
    """As the dynamic linker leaves what it relocated (RELRO)."""
    with private(file, mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
        mapped[: mmap.PAGESIZE] = b"!" * mmap.PAGESIZE
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(SIZE), mmap.PROT_READ) == 0
        forget_files()
        assert mapped[: mmap.PAGESIZE] == b"!" * mmap.PAGESIZE
        assert mapped[mmap.PAGESIZE : mmap.PAGESIZE + 16] == b"from the file..."
        assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(SIZE), 3) == 0


def test_the_heap_gives_back_what_is_free() -> None:
    hole = [bytearray(100_000) for _ in range(100)]
    fence = bytearray(100_000)
    del hole
    assert isinstance(trim_heap(), bool)
    assert len(fence) == 100_000
