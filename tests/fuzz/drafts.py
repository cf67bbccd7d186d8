"""Messages in parts, to be bent before they become bytes, and the random choices that all mutations share."""

import itertools
import random
from dataclasses import dataclass, field

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VISIBLE = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))
ODD = b'\x00\x01\x08\t\n\x0b\x0c\r\x1f "(),/:;<=>?@[\\]{}\x7f\x80\xa0\xff0aZ%'
EMBEDDED = (
    b"GET /smuggled HTTP/1.1\r\nHost: evil.test\r\nX-Key: smuggled\r\n\r\n",
    b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Key: smuggled\r\nContent-Length: 0\r\n\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
)
NAMES = (
    b"Accept",
    b"Cookie",
    b"X-Y",
    b"x_y",
    b"X.Y",
    b"A",
    b"Range",
    b"Content-Type",
    b"~^`|",
    b"Trailer",
    b"Via",
)


@dataclass
class Line:
    """A field line: what stands between its parts can be bent as well."""

    name: bytes
    value: bytes
    colon: bytes = b": "
    tail: bytes = b""
    eol: bytes = b"\r\n"

    def render(self) -> bytes:
        return self.name + self.colon + self.value + self.tail + self.eol


@dataclass
class Chunk:
    data: bytes
    size: bytes
    extension: bytes = b""
    eol: bytes = b"\r\n"
    end: bytes = b"\r\n"

    def render(self) -> bytes:
        return self.size + self.extension + self.eol + self.data + self.end


@dataclass
class Draft:
    """One message. `chunks` None: the body goes out as it is. `must`: it is right and has to be taken."""

    start: bytes
    lines: list[Line]
    body: bytes = b""
    chunks: list[Chunk] | None = None
    last: bytes = b"0\r\n"
    trailers: list[Line] = field(default_factory=list)
    before: bytes = b""
    head_end: bytes = b"\r\n"
    trailers_end: bytes = b"\r\n"
    must: bool = True
    mutations: list[str] = field(default_factory=list)

    def render(self) -> bytes:
        out = [self.before, self.start, *(line.render() for line in self.lines), self.head_end]
        if self.chunks is None:
            out.append(self.body)
        else:
            out += [chunk.render() for chunk in self.chunks]
            out += [self.last, *(line.render() for line in self.trailers), self.trailers_end]
        return b"".join(out)

    def find(self, name: bytes) -> Line | None:
        return next((line for line in self.lines if line.name.lower() == name.lower()), None)

    def drop(self, name: bytes) -> None:
        self.lines = [line for line in self.lines if line.name.lower() != name.lower()]

    def insert(self, rng: random.Random, *lines: Line) -> None:
        """Anywhere among the fields, in this order."""
        at = rng.randint(0, len(self.lines))
        self.lines[at:at] = lines

    def chunk(self, rng: random.Random) -> None:
        """Frames the body by chunks."""
        self.drop(b"Content-Length")
        self.drop(b"Transfer-Encoding")
        self.insert(rng, Line(b"Transfer-Encoding", b"chunked"))
        self.chunks = cut_chunks(rng, self.body)


def cut_chunks(rng: random.Random, body: bytes) -> list[Chunk]:
    chunks = []
    while body:
        n = rng.randint(1, len(body)) if rng.random() < 0.7 else 1
        chunks.append(Chunk(body[:n], b"%x" % n))
        body = body[n:]
    return chunks


def some(rng: random.Random, alphabet: bytes, low: int, high: int) -> bytes:
    return bytes(rng.choices(alphabet, k=rng.randint(low, high)))


def value(rng: random.Random) -> bytes:
    """A field value that is right."""
    words = [some(rng, VISIBLE, 1, 12) for _ in range(rng.randint(0, 3))]
    return rng.choice((b" ", b"\t", b", ", b"  ")).join(words)


def body(rng: random.Random) -> bytes:
    shape = rng.random()
    if shape < 0.5:
        return rng.randbytes(rng.randint(1, 40))
    if shape < 0.9:
        return rng.choice((b"", b"x", b"abc")) + rng.choice(EMBEDDED)
    return rng.randbytes(rng.choice((256, 4096, 20000)))


def odd_case(rng: random.Random, word: bytes) -> bytes:
    return bytes(c ^ 0x20 if chr(c).isalpha() and c < 128 and rng.random() < 0.5 else c for c in word)


def cuts(rng: random.Random, n: int) -> list[int]:
    """Where a stream of n bytes is cut into writes."""
    shape = rng.random()
    if shape < 0.5 or n < 2:
        return []
    if shape < 0.97 or n > 400:
        return sorted({rng.randrange(1, n) for _ in range(rng.randint(1, 4))})
    return list(range(1, n))


def pieces(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *(cut for cut in at if 0 < cut < len(stream)), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges) if a < b]


def scar(rng: random.Random, stream: bytes) -> bytes:
    """Bytes bent without regard to what they mean."""
    data = bytearray(stream)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(6):
            case 0 if data:
                data[at] = rng.choice(ODD)
            case 1:
                data.insert(at, rng.choice(ODD))
            case 2:
                del data[at : at + rng.choice((1, 1, 2, 8))]
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 30)]
            case 4 if data:
                data[at] ^= 1 << rng.randrange(8)
            case _:
                data[at:at] = rng.choice((b"\r\n", b"\n", b"\r", b"\r\n\r\n", *EMBEDDED))
    return bytes(data)


def bend_lines(rng: random.Random, draft: Draft) -> None:
    """A field line that no reader may take."""
    line = rng.choice(draft.lines) if draft.lines else Line(b"A", b"b")
    if not draft.lines or rng.random() < 0.5:
        line = Line(rng.choice(NAMES), value(rng))
        draft.insert(rng, line)
    match rng.randrange(8):
        case 0:
            line.eol = rng.choice((b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\n\r", b""))
        case 1:
            line.eol = rng.choice((b"\r\n ", b"\r\n\t", b"\n ", b"\r ")) + some(rng, VISIBLE, 0, 6) + b"\r\n"
        case 2:
            line.colon = rng.choice(
                (b" : ", b"\t: ", b" ", b"", b":\n", b":\r", b":\r\n ", b":\x00", b"\x0b: ")
            )
        case 3:
            line.value += bytes([rng.choice(b"\x00\x01\x08\x0b\x0c\x1f\x7f")]) + some(rng, VISIBLE, 0, 3)
        case 4:
            line.name = rng.choice((b"", b" ", b"\t", b"\x00", b"(", b"\x80", b"\r")) + line.name
        case 5:
            line.name += rng.choice((b"\x00", b"@", b"/", b"\xff", b"[", b" x", b"\x01"))
        case 6:
            line.value = rng.choice((b"\x00", b"\r", b"\x7f")) + line.value
        case _:
            draft.head_end = rng.choice((b"\n", b"\r", b"", b"\r\r\n", b"\n\n", b" \r\n", b"\x00\r\n"))


CODINGS = (
    b"chunked", b"Chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"chunked;q=1",
    b"chunked, identity",
    b"xchunked", b"chunkedx", b"\x0bchunked", b"chunked\x0c", b"chunked,", b",chunked", b"", b'"chunked"',
    b"x, chunked",
    b"chunked\x00", b"chun\tked", b"cow", b"deflate\r\n\tchunked", b"chunked ", b"\tchunked",
)  # fmt: skip
LENGTHS = (
    b"+%d", b"-%d", b"0x%x", b"%d, %d", b"%d,%d", b"%d ,", b"1%d", b"0%d", b"%d 0", b"0 %d", b"%d.0", b"%de0",
    b"",
    b"18446744073709551616", b"9223372036854775807", b"99999999999999999999%d", b"%d\x00", b"%d;", b"%d\t",
    b"\x0b%d",
)  # fmt: skip


def bend_framing(rng: random.Random, draft: Draft) -> None:
    """A head that says something else about the body than the bytes behind it, or says it oddly."""
    n = len(draft.body)
    match rng.randrange(8):
        case 0:
            draft.insert(rng, Line(b"Content-Length", b"%d" % rng.choice((0, n, n + 1, 4, max(0, n - 1)))))
        case 1:
            draft.insert(rng, Line(b"Transfer-Encoding", rng.choice(CODINGS)))
        case 2:
            draft.drop(b"Transfer-Encoding")
            draft.insert(rng, Line(b"Transfer-Encoding", rng.choice(CODINGS)))
        case 3:
            text = rng.choice(LENGTHS)
            draft.drop(b"Content-Length")
            draft.insert(
                rng, Line(b"Content-Length", text % ((n,) * text.count(b"%")) if b"%" in text else text)
            )
        case 4:
            name = rng.choice((b"Content-Length", b"Transfer-Encoding"))
            line = draft.find(name) or Line(name, b"chunked" if name[0] == 84 else b"%d" % n)
            bent = Line(scar(rng, name), line.value)
            draft.insert(rng, bent)
        case 5:
            draft.drop(b"Content-Length")
            draft.drop(b"Transfer-Encoding")
        case 6:
            draft.chunk(rng)
            draft.insert(rng, Line(b"Content-Length", b"%d" % n))
        case _:
            line = draft.find(b"Content-Length") or Line(b"Content-Length", b"%d" % n)
            draft.drop(b"Content-Length")
            line.value = b"%d" % max(0, n + rng.choice((-3, -2, -1, 1, 2, 3, 40)))
            draft.insert(rng, line)


SIZES = (
    b"-%x", b"+%x", b"0x%x", b"%x ", b" %x", b"%xg", b"%x\t", b"1%x", b"00000000000000000%x",
    b"ffffffffffffffff",
    b"10000000000000000", b"1000000000000000%x", b"100000000%x", b"", b"%x\x00", b"%x,", b"\n%x", b"%x.",
    b"%x_",
    b"f0000000000000%x",
)  # fmt: skip


def bend_chunks(rng: random.Random, draft: Draft) -> None:
    """Chunked coding that is not quite right."""
    if not draft.chunks:
        draft.body = draft.body or b"hello"
        draft.chunk(rng)
    assert draft.chunks
    chunk = rng.choice(draft.chunks)
    match rng.randrange(8):
        case 0:
            text = rng.choice(SIZES)
            chunk.size = text % len(chunk.data) if b"%" in text else text
        case 1:
            chunk.size = b"%x" % max(0, len(chunk.data) + rng.choice((-2, -1, 1, 2, 16)))
        case 2:
            chunk.end = rng.choice((b"", b"\n", b"\r", b"\r\n\r\n", b"x\r\n", b"\n\r", b"\r\r\n"))
        case 3:
            chunk.eol = rng.choice((b"\n", b"\r", b"", b"\r\r\n", b" \r\n", b"\x00\r\n"))
        case 4:
            chunk.extension = rng.choice((
                b";\n", b";a\n", b";a=\"\r\n\"", b";a\rb", b";\x00", b" ;a", b";a=b\nGET / HTTP/1.1",
                b";a=\"b\n\"",
                b";" + b"x" * rng.choice((10, 9000, 70000)), b" a", b",a",
            ))  # fmt: skip
        case 5:
            draft.last = rng.choice(
                (b"", b"0\n", b"0", b"00", b"0;\n", b"0\r\r\n", b"0 \r\n", b"-0\r\n", b"0x0\r\n")
            )
        case 6:
            line = Line(rng.choice(NAMES), value(rng))
            line.eol = rng.choice((b"\n", b"\r", b"\r\n ", b"\r\n"))
            line.colon = rng.choice((b": ", b" : ", b"", b":\n"))
            draft.trailers.append(line)
        case _:
            draft.trailers_end = rng.choice((b"", b"\n", b"\r", b"\r\n\r\n", b"x\r\n", b" \r\n"))
