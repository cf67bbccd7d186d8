from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memchr, memcmp, memcpy, memset

from tetrapylon._core.routing.trie cimport (
    PRESENT, UNIT, Arena, Condition, Edge, Host, HostRules, HostSlot, Link, Node, Rule, Slot, Trie, at,
    first_slot, hash_text,
)

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void* start, size_t length, int advice)
    enum:
        MADV_HUGEPAGE

cdef enum:
    HUGE_PAGE = 1 << 21


# Offset of `n` zeroed bytes, or 0 when memory is out. Pointers into the arena do not outlive a call.
cdef uint32_t reserve(Trie* trie, size_t n) noexcept nogil:
    cdef Arena* arena = &trie.arena
    cdef size_t start = arena.used if arena.used else UNIT
    cdef size_t need = start + (n + UNIT - 1) // UNIT * UNIT
    cdef size_t size
    cdef char* base
    if need > arena.size:
        size = max(need, arena.size * 2, <size_t> 4096)
        if size >= HUGE_PAGE:
            # Lookups jump about in a large table: with 4 KiB pages each jump would miss the TLB too.
            size = (size + HUGE_PAGE - 1) // HUGE_PAGE * HUGE_PAGE
            base = <char*> aligned_alloc(HUGE_PAGE, size)
            if base != NULL:
                madvise(base, size, MADV_HUGEPAGE)
        else:
            base = <char*> aligned_alloc(64, (size + 63) // 64 * 64)
        if base == NULL:
            return 0
        if arena.used:
            memcpy(base, arena.base, arena.used)
        free(arena.base)
        arena.base = base
        arena.size = size
    memset(arena.base + start, 0, need - start)
    arena.used = need
    return <uint32_t> (start // UNIT)


cdef uint32_t add_bytes(Trie* trie, bytes text) except 0:
    cdef uint32_t offset = reserve(trie, max(<size_t> 1, <size_t> len(text)))
    if not offset:
        raise MemoryError
    memcpy(at(trie, offset), <const char*> text, len(text))
    return offset


cdef uint32_t add_headers(Trie* trie, tuple conditions) except 0:
    cdef uint32_t offset, name_at, value_at
    cdef Condition* condition
    cdef int i
    offset = reserve(trie, sizeof(uint32_t) + len(conditions) * sizeof(Condition))
    if not offset:
        raise MemoryError
    (<uint32_t*> at(trie, offset))[0] = len(conditions)
    for i, (name, value) in enumerate(conditions):
        name_at = add_bytes(trie, name)
        value_at = add_bytes(trie, value or b"")
        condition = <Condition*> (<uint32_t*> at(trie, offset) + 1) + i
        condition.name = name_at
        condition.name_n = len(name)
        condition.value = value_at
        condition.value_n = PRESENT if value is None else len(value)
    return offset


cdef int add_hosts(Trie* trie, list hosts) except -1:
    cdef uint32_t offset, slot, mask = 7
    cdef uint32_t host_id = 0, tag
    cdef HostSlot* slots
    cdef Host* host
    cdef bytes text
    while mask < 2 * <uint32_t> len(hosts):
        mask = mask * 2 + 1
    trie.hosts = reserve(trie, (mask + 1) * sizeof(HostSlot))
    if not trie.hosts:
        raise MemoryError
    trie.host_mask = mask
    for text in hosts:
        host_id += 1
        offset = reserve(trie, sizeof(Host) + len(text))
        if not offset:
            raise MemoryError
        host = <Host*> at(trie, offset)
        host.id = host_id
        host.length = len(text)
        memcpy(<char*> (host + 1), <const char*> text, len(text))
        tag = hash_text(text, len(text))
        slots = <HostSlot*> at(trie, trie.hosts)
        slot = tag & mask
        while slots[slot].host:
            slot = (slot + 1) & mask
        slots[slot].tag = tag
        slots[slot].host = offset
    return 0


cdef int compare(const void* left, const void* right) noexcept nogil:
    cdef const Key* a = <const Key*> left
    cdef const Key* b = <const Key*> right
    cdef int order = memcmp(a.text, b.text, min(a.length, b.length))
    if order:
        return order
    if a.length != b.length:
        return 1 if a.length > b.length else -1
    if a.host != b.host:
        return 1 if a.host > b.host else -1
    if a.rank != b.rank:
        return 1 if a.rank > b.rank else -1
    return 1 if a.route > b.route else -1


cdef void sort(Key* keys, size_t n) noexcept nogil:
    qsort(keys, n, sizeof(Key), compare)


# End of the segment that starts (with its NUL) at `start`.
cdef inline uint32_t segment_end(const Key* key, uint32_t start) noexcept nogil:
    cdef const char* stop = <const char*> memchr(key.text + start + 1, 0, key.length - start - 1)
    return key.length if stop == NULL else <uint32_t> (stop - key.text)


cdef inline bint shares(const Key* key, const Key* other, uint32_t start, uint32_t end) noexcept nogil:
    return (key.length >= end and memcmp(key.text + start, other.text + start, end - start) == 0
            and (key.length == end or key.text[end] == 0))


# The marker of the segment at `start`, 0 for a literal.
cdef inline int marker(const Key* key, uint32_t start) noexcept nogil:
    cdef uint8_t first = <uint8_t> key.text[start + 1] if key.length > start + 1 else 0
    return first if first <= MARK_REST else 0


# One past the last key that has the segment [start, end) of keys[low].
cdef uint32_t group(const Key* keys, uint32_t low, uint32_t high,
                    uint32_t start, uint32_t end) noexcept nogil:
    cdef uint32_t i = low + 1
    while i < high and shares(&keys[i], &keys[low], start, end):
        i += 1
    return i


# Records already written, by content; open addressing.
cdef struct Known:
    uint32_t hash
    uint32_t offset
    uint32_t size

cdef struct Builder:
    Trie* trie
    const Key* keys
    Known* known
    uint32_t mask
    uint32_t used


cdef int grow(Builder* builder) noexcept nogil:
    cdef uint32_t mask = builder.mask * 2 + 1, i, slot
    cdef Known* known = <Known*> calloc(<size_t> mask + 1, sizeof(Known))
    if known == NULL:
        return -1
    for i in range(builder.mask + 1 if builder.known != NULL else 0):
        if builder.known[i].offset:
            slot = builder.known[i].hash & mask
            while known[slot].offset:
                slot = (slot + 1) & mask
            known[slot] = builder.known[i]
    free(builder.known)
    builder.known = known
    builder.mask = mask
    return 0


# Writes a record, or finds the equal one written before. Offset, or 0 when memory is out.
cdef uint32_t intern(Builder* builder, const void* record, size_t n,
                     const void* more, size_t more_n) noexcept nogil:
    cdef Trie* trie = builder.trie
    cdef uint32_t offset = reserve(trie, n + more_n), tag, slot
    cdef char* copy
    cdef Known* known
    if not offset or (builder.used * 2 >= builder.mask and grow(builder) < 0):
        return 0
    copy = <char*> at(trie, offset)
    memcpy(copy, record, n)
    if more_n:
        memcpy(copy + n, more, more_n)
    n += more_n
    tag = hash_text(copy, n)
    slot = tag & builder.mask
    while builder.known[slot].offset:
        known = &builder.known[slot]
        if known.hash == tag and known.size == n and memcmp(at(trie, known.offset), copy, n) == 0:
            trie.arena.used = <size_t> offset * UNIT
            return known.offset
        slot = (slot + 1) & builder.mask
    builder.known[slot].hash = tag
    builder.known[slot].offset = offset
    builder.known[slot].size = <uint32_t> n
    builder.used += 1
    return offset


cdef uint32_t write_rules(Builder* builder, uint32_t first, uint32_t low, uint32_t high) noexcept nogil:
    cdef Rule* rules = <Rule*> calloc(high - low, sizeof(Rule))
    cdef const Key* key
    cdef uint32_t i, offset = 0
    if rules != NULL:
        for i in range(high - low):
            key = &builder.keys[low + i]
            rules[i].methods = key.methods
            rules[i].route = low + i - first
            rules[i].headers = key.headers
            rules[i].last = low + i + 1 == high
        offset = intern(builder, rules, (high - low) * sizeof(Rule), NULL, 0)
        free(rules)
    return offset


# The rules of routes that end at a node: those for any host (0 sorts first), then a table of the others.
cdef int write_end(Builder* builder, Node* node, uint32_t low, uint32_t high) noexcept nogil:
    cdef const Key* keys = builder.keys
    cdef uint32_t i = low, j, n = 0
    cdef HostRules* table
    while i < high and keys[i].host == 0:
        i += 1
    if i > low:
        node.rules = write_rules(builder, low, low, i)
        if not node.rules:
            return -1
    if i == high:
        return 0
    table = <HostRules*> calloc(high - i + 1, sizeof(HostRules))
    if table == NULL:
        return -1
    while i < high:
        j = i + 1
        while j < high and keys[j].host == keys[i].host:
            j += 1
        n += 1
        table[n].host = keys[i].host
        table[n].rules = write_rules(builder, low, i, j)
        if not table[n].rules:
            free(table)
            return -1
        i = j
    table[0].host = n
    node.hosts = intern(builder, table, (n + 1) * sizeof(HostRules), NULL, 0)
    free(table)
    return 0 if node.hosts else -1


# The edge for keys[low:high], which share their literal segment [start, stop) and maybe more.
cdef uint32_t write_edge(Builder* builder, uint32_t base, uint32_t low, uint32_t high,
                         uint32_t start, uint32_t stop) noexcept nogil:
    cdef const Key* keys = builder.keys
    cdef uint32_t next_stop
    cdef Edge edge
    while keys[low].length > stop and not marker(&keys[low], stop):
        next_stop = segment_end(&keys[low], stop)
        if not shares(&keys[high - 1], &keys[low], stop, next_stop):
            break
        stop = next_stop
    edge.to.base = base
    edge.to.child = write_node(builder, low, high, stop)
    edge.text_n = stop - start
    return finish_edge(builder, &edge, keys[low].text + start) if edge.to.child else 0


# Apart, so that its buffer is not on the stack at every level.
cdef uint32_t finish_edge(Builder* builder, const Edge* edge, const char* key) noexcept nogil:
    cdef char[MAX_KEY] text
    cdef uint32_t i
    for i in range(edge.text_n):
        text[i] = key[i] or c"/"
    return intern(builder, edge, sizeof(Edge), text, edge.text_n)


# The node for keys[low:high], which agree up to `end`. Offset, or 0 when memory is out.
cdef uint32_t write_node(Builder* builder, uint32_t low, uint32_t high, uint32_t end) noexcept nogil:
    cdef const Key* keys = builder.keys
    cdef uint32_t i = low, j, stop, literals = 0, slot, tag, offset
    cdef int mark
    cdef Link* link
    cdef Slot* slots = NULL
    cdef Node node
    memset(&node, 0, sizeof(Node))
    while i < high and keys[i].length == end:
        i += 1
    if i > low and write_end(builder, &node, low, i) < 0:
        return 0

    j = i
    while j < high:
        stop = segment_end(&keys[j], end)
        literals += marker(&keys[j], end) == 0
        j = group(keys, j, high, end, stop)
    node.fanout = literals
    if literals > 1:
        # Three quarters full: few probes, and little cache for many children.
        node.fanout = literals + literals // 3 + 1
        slots = <Slot*> calloc(node.fanout, sizeof(Slot))
        if slots == NULL:
            return 0

    while i < high:
        stop = segment_end(&keys[i], end)
        j = group(keys, i, high, end, stop)
        mark = marker(&keys[i], end)
        if mark:
            link = &node.int_child + (mark - MARK_INT)
            link.base = i - low
            link.child = offset = write_node(builder, i, j, stop)
        else:
            tag = hash_text(keys[i].text + end + 1, stop - end - 1)
            offset = write_edge(builder, i - low, i, j, end, stop)
            if literals == 1:
                node.literals = offset
            else:
                slot = first_slot(tag, node.fanout)
                while slots[slot].edge:
                    slot = slot + 1 if slot + 1 < node.fanout else 0
                slots[slot].tag = tag
                slots[slot].edge = offset
        if not offset:
            free(slots)
            return 0
        i = j

    if slots != NULL:
        node.literals = intern(builder, slots, <size_t> node.fanout * sizeof(Slot), NULL, 0)
        free(slots)
        if not node.literals:
            return 0
    return intern(builder, &node, sizeof(Node), NULL, 0)


cdef int pack(Trie* trie, const Key* keys, uint32_t n) noexcept nogil:
    cdef Builder builder
    cdef uint32_t i
    memset(&builder, 0, sizeof(Builder))
    builder.trie = trie
    builder.keys = keys
    builder.mask = 0xFF
    trie.destinations = <void**> malloc((<size_t> n + 1) * sizeof(void*))
    if trie.destinations == NULL or grow(&builder) < 0:
        return -1
    for i in range(n):
        trie.destinations[i] = keys[i].destination
    trie.root = write_node(&builder, 0, n, 0)
    free(builder.known)
    return 0 if trie.root else -1
