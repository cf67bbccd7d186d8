from libc.stdint cimport uint8_t

from tetrapylon._core.buffer cimport HEARD, Head, head_add, head_free, head_reset
from tetrapylon._core.http.fields cimport Items, Piece, is_word, items_of, next_item, next_part, read_quality

CODINGS_BY_NAME = {"identity": IDENTITY, "gzip": GZIP, "br": BROTLI, "zstd": ZSTD}
NAMES = {coding: name for name, coding in CODINGS_BY_NAME.items()}


cdef Coding coding_of(const char* name, size_t n) noexcept nogil:
    cdef Piece piece
    piece.data = name
    piece.n = n
    if is_word(piece, b"gzip", 4) or is_word(piece, b"x-gzip", 6):
        return GZIP
    if is_word(piece, b"br", 2):
        return BROTLI
    if is_word(piece, b"zstd", 4):
        return ZSTD
    if is_word(piece, b"identity", 8):
        return IDENTITY
    return UNKNOWN_CODING


cdef void weigh(const Head* request, uint8_t mark, int* weights) noexcept nogil:
    """What the client says of each coding; -1 for one that it does not name, `*` last.

    With a mark, by the lines that have it, even if they are not forwarded.
    """
    cdef Items items = items_of(request, b"accept-encoding", 15)
    cdef Piece item, name
    cdef Coding coding
    cdef int i
    for i in range(CODINGS + 1):
        weights[i] = -1
    if mark:
        items.mask = items.marks = mark
    while next_item(&items, &item):
        next_part(&item, &name)
        coding = coding_of(name.data, name.n)
        if coding < CODINGS:
            weights[<int>coding] = read_quality(item)
        elif name.n == 1 and name.data[0] == c"*":
            weights[<int>CODINGS] = read_quality(item)


cdef int acceptable(const Head* request, Coding coding) noexcept nogil:
    cdef int[CODINGS + 1] weights
    weigh(request, 0, weights)
    return weight_of(weights, coding)


cdef inline int weight_of(const int* weights, Coding coding) noexcept nogil:
    if weights[<int>coding] >= 0:
        return weights[<int>coding]
    if weights[<int>CODINGS] >= 0:
        return weights[<int>CODINGS]
    return 1000 if coding == IDENTITY else 0


cdef Coding choose_coding(const Head* request, const Coding* offered, size_t n) noexcept nogil:
    """Of what the lines HEARD say, the offered coding that the client likes best; of equals the first one.

    IDENTITY unless the client prefers another, and where it takes nothing that there is: an answer that
    it may not read is of more use than none.
    """
    cdef int[CODINGS + 1] weights
    cdef int best_weight = 0, weight
    cdef Coding best = IDENTITY
    cdef size_t i
    weigh(request, HEARD, weights)
    for i in range(n):
        weight = weight_of(weights, offered[i])
        if weight > best_weight:
            best_weight = weight
            best = offered[i]
    # What the client does not rank it leaves to the server: identity wins where it is named and weighs more.
    if best != IDENTITY and weights[<int>IDENTITY] > best_weight:
        return IDENTITY
    return best


def negotiate(str accept, tuple offered not None):
    """The coding's name for an Accept-Encoding (None: the request has none): for tests."""
    cdef Head head
    cdef Coding[4] codings
    cdef bytes value
    cdef size_t n = 0
    head.data = NULL
    head.headers = NULL
    head.capacity = head.room = 0
    head_reset(&head)
    for name in offered:
        codings[n] = CODINGS_BY_NAME[name]
        n += 1
    if accept is not None:
        value = accept.encode("latin-1")
        head_add(&head, b"Accept-Encoding", 15, value, len(value), HEARD)
    chosen = choose_coding(&head, codings, n)
    head_free(&head)
    return NAMES[chosen]
