from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memchr, memcmp, memcpy, memset

from tetrapylon._core.path cimport is_int, is_uuid

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void* start, size_t length, int advice)
    enum:
        MADV_HUGEPAGE

ANY_METHOD = ~(<uint64_t> 0)
OTHER_METHOD = (<uint64_t> 1) << METHOD_BITS

# Offsets count units of the arena; 0 is nothing.
cdef enum:
    UNIT = 8
    HUGE_PAGE = 1 << 21
    PRESENT = 0xFFFF

# A node stands where whole segments have been consumed. Routes are numbered in the order of their sorted keys, and a
# node counts from its first one: what it holds does not depend on where it stands. So equal subtrees are stored once
# (the same few resources under ten thousand services), and the part of the table that a request touches stays in cache.
cdef struct Link:
    uint32_t child           # a Node
    uint32_t base            # the child's first route, counted from the node's

cdef struct Node:
    Link int_child
    Link uuid_child
    Link plain_child
    Link rest_child
    uint32_t literals        # an Edge, or a hash table of Slots
    uint32_t fanout          # 0 no literal child, 1 one, else log2 of the slots
    uint32_t rules           # of the routes that end here and take any host
    uint32_t hosts           # HostRules of those that name one

# The way to a literal child: one or more whole segments, each with its leading slash; the text follows.
cdef struct Edge:
    Link to
    uint32_t text_n

cdef struct Slot:
    uint32_t tag
    uint32_t edge

# What ends a pattern. Rules stand in order of precedence.
cdef struct Rule:
    uint64_t methods
    uint32_t route           # counted from the node's first
    uint32_t headers         # uint32 count, then Conditions; 0 for none
    uint32_t last
    uint32_t unused

cdef struct Condition:
    uint32_t name
    uint32_t value
    uint16_t name_n
    uint16_t value_n         # PRESENT: any value

# A table of these, sorted by host, after a uint32 count.
cdef struct HostRules:
    uint32_t host
    uint32_t rules

cdef struct Host:
    uint32_t id
    uint16_t length


cdef inline void* at(const Trie* trie, uint32_t offset) noexcept nogil:
    return trie.arena.base + <size_t> offset * UNIT


cdef inline uint64_t load64(const char* s) noexcept nogil:
    cdef uint64_t word = 0
    memcpy(&word, s, 8)
    return word


cdef inline uint64_t load32(const char* s) noexcept nogil:
    cdef uint32_t word = 0
    memcpy(&word, s, 4)
    return word


# Over text from the config alone: a request can choose what it asks for, never what is in a table.
cdef inline uint32_t hash_text(const char* s, Py_ssize_t n) noexcept nogil:
    cdef uint64_t h = <uint64_t> n * 0x9E3779B97F4A7C15ULL
    cdef Py_ssize_t i = 0
    if n >= 8:
        while i < n - 8:
            h = (h ^ load64(s + i)) * 0xD6E8FEB86659FD93ULL
            h ^= h >> 32
            i += 8
        h ^= load64(s + n - 8)
    elif n >= 4:
        h ^= load32(s) << 32 | load32(s + n - 4)
    elif n:
        h ^= <uint64_t> <uint8_t> s[0] << 16 | <uint64_t> <uint8_t> s[n >> 1] << 8 | <uint8_t> s[n - 1]
    h *= 0xD6E8FEB86659FD93ULL
    h ^= h >> 32
    h *= 0xD6E8FEB86659FD93ULL
    return <uint32_t> (h >> 32)


# ---- building -------------------------------------------------------------------------------------------------------

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
cdef uint32_t group(const Key* keys, uint32_t low, uint32_t high, uint32_t start, uint32_t end) noexcept nogil:
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
cdef uint32_t intern(Builder* builder, const void* record, size_t n, const void* more, size_t more_n) noexcept nogil:
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
    cdef uint32_t next_stop, i
    cdef char[MAX_KEY] text
    cdef Edge edge
    while keys[low].length > stop and not marker(&keys[low], stop):
        next_stop = segment_end(&keys[low], stop)
        if not shares(&keys[high - 1], &keys[low], stop, next_stop):
            break
        stop = next_stop
    for i in range(stop - start):
        text[i] = keys[low].text[start + i] or c"/"
    edge.to.base = base
    edge.to.child = write_node(builder, low, high, stop)
    edge.text_n = stop - start
    return intern(builder, &edge, sizeof(Edge), text, edge.text_n) if edge.to.child else 0


cdef inline uint32_t fanout_of(uint32_t literals) noexcept nogil:
    cdef uint32_t fanout = 2
    while (<uint32_t> 1 << fanout) * 4 < literals * 5:
        fanout += 1
    return fanout


# The node for keys[low:high], which agree up to `end`. Offset, or 0 when memory is out.
cdef uint32_t write_node(Builder* builder, uint32_t low, uint32_t high, uint32_t end) noexcept nogil:
    cdef const Key* keys = builder.keys
    cdef uint32_t i = low, j, stop, literals = 0, mask = 0, slot, tag, offset
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
    if literals > 1:
        node.fanout = fanout_of(literals)
        mask = (<uint32_t> 1 << node.fanout) - 1
        slots = <Slot*> calloc(<size_t> mask + 1, sizeof(Slot))
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
                node.fanout = 1
            else:
                slot = tag & mask
                while slots[slot].edge:
                    slot = (slot + 1) & mask
                slots[slot].tag = tag
                slots[slot].edge = offset
        if not offset:
            free(slots)
            return 0
        i = j

    if slots != NULL:
        node.literals = intern(builder, slots, (<size_t> mask + 1) * sizeof(Slot), NULL, 0)
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


cdef void release(Trie* trie) noexcept nogil:
    free(trie.arena.base)
    free(trie.destinations)
    memset(trie, 0, sizeof(Trie))


# ---- matching -------------------------------------------------------------------------------------------------------

# Where to go on when the way taken from a node fails. Every node is entered at most once, whatever the path.
cdef enum Stage:
    LITERAL
    TYPED
    PLAIN
    REST
    DONE

cdef struct Frame:
    const Node* node
    uint32_t position
    uint32_t base
    uint16_t n_params
    uint16_t stage


cdef inline bint edge_holds(const Edge* edge, const char* path, uint32_t start, uint32_t n) noexcept:
    cdef uint32_t end = start + edge.text_n
    return end <= n and memcmp(edge + 1, path + start, edge.text_n) == 0 and (end == n or path[end] == c"/")


cdef inline const Edge* literal_edge(const Trie* trie, const Node* node, const char* path,
                                     uint32_t start, uint32_t n) noexcept:
    cdef const Edge* edge
    cdef const Slot* slots
    cdef uint32_t tag, slot, mask, end
    if node.fanout == 1:
        edge = <const Edge*> at(trie, node.literals)
        return edge if edge_holds(edge, path, start, n) else NULL
    end = start + 1
    while end < n and path[end] != c"/":
        end += 1
    tag = hash_text(path + start + 1, end - start - 1)
    slots = <const Slot*> at(trie, node.literals)
    mask = (<uint32_t> 1 << node.fanout) - 1
    slot = tag & mask
    while slots[slot].edge:
        if slots[slot].tag == tag:
            edge = <const Edge*> at(trie, slots[slot].edge)
            if edge_holds(edge, path, start, n):
                return edge
        slot = (slot + 1) & mask
    return NULL


# Lower-cases the request's host without its port and final dot, and looks up it and the wildcards that cover it,
# nearest first.
cdef void resolve_hosts(const Trie* trie, Query* query) noexcept:
    cdef char[MAX_HOST] text
    cdef Py_ssize_t n = query.host_n, i
    cdef const char* stop
    cdef const HostSlot* slots
    cdef const Host* host
    cdef uint32_t tag, slot
    cdef char c
    query.n_hosts = 0
    if n and query.host[0] == c"[":
        stop = <const char*> memchr(query.host, c"]", n)
        if stop != NULL:
            n = stop - query.host + 1
    else:
        stop = <const char*> memchr(query.host, c":", n)
        if stop != NULL:
            n = stop - query.host
    if n and query.host[n - 1] == c".":
        n -= 1
    if n == 0 or n > MAX_HOST or query.host[0] == c".":
        return
    for i in range(n):
        c = query.host[i]
        text[i] = c | 0x20 if c"A" <= c <= c"Z" else c
    slots = <const HostSlot*> at(trie, trie.hosts)
    for i in range(n):
        if i and text[i] != c".":
            continue
        tag = hash_text(text + i, n - i)
        slot = tag & trie.host_mask
        while slots[slot].host:
            host = <const Host*> at(trie, slots[slot].host)
            if slots[slot].tag == tag and host.length == n - i and memcmp(host + 1, text + i, n - i) == 0:
                query.hosts[query.n_hosts] = host.id
                query.n_hosts += 1
                break
            slot = (slot + 1) & trie.host_mask


cdef inline uint32_t rules_for(const Trie* trie, const Node* node, uint32_t host) noexcept:
    cdef const HostRules* table = <const HostRules*> at(trie, node.hosts)
    cdef uint32_t low = 1, high = (<const uint32_t*> table)[0] + 1, middle
    while low < high:
        middle = (low + high) // 2
        if table[middle].host == host:
            return table[middle].rules
        if table[middle].host < host:
            low = middle + 1
        else:
            high = middle
    return 0


cdef bint headers_hold(const Trie* trie, uint32_t offset, Query* query) noexcept:
    cdef const uint32_t* count = <const uint32_t*> at(trie, offset)
    cdef const Condition* condition = <const Condition*> (count + 1)
    cdef const char* value = NULL
    cdef Py_ssize_t n = 0
    cdef uint32_t i
    if query.lookup == NULL:
        return False
    for i in range(count[0]):
        if not query.lookup(query.ctx, <const char*> at(trie, condition.name), condition.name_n, &value, &n):
            return False
        if condition.value_n != PRESENT and (
                condition.value_n != n or memcmp(at(trie, condition.value), value, n) != 0):
            return False
        condition += 1
    return True


cdef inline bint choose(const Trie* trie, uint32_t rules, uint32_t base, Query* query, Match* out) noexcept:
    cdef const Rule* rule = <const Rule*> at(trie, rules)
    while True:
        if rule.headers == 0 or headers_hold(trie, rule.headers, query):
            if rule.methods & query.method:
                out.route = base + rule.route
                out.destination = trie.destinations[out.route]
                return True
            query.allowed |= rule.methods
        if rule.last:
            return False
        rule += 1


cdef bint choose_by_host(const Trie* trie, const Node* node, uint32_t base, Query* query, Match* out) noexcept:
    cdef uint32_t rules
    cdef int i
    if query.n_hosts < 0:
        resolve_hosts(trie, query)
    for i in range(query.n_hosts):
        rules = rules_for(trie, node, query.hosts[i])
        if rules and choose(trie, rules, base, query, out):
            return True
    return False


cdef bint walk(const Trie* trie, Query* query, Match* out) noexcept:
    cdef const char* path = query.path
    cdef uint32_t n = <uint32_t> query.path_n
    cdef const Node* node = <const Node*> at(trie, trie.root)
    cdef const Link* link
    cdef const Edge* edge
    cdef Frame[MAX_SEGMENTS] frames
    cdef Frame* frame
    cdef int depth = 0, stage = LITERAL
    cdef uint32_t position = 0, base = 0, n_params = 0, start = 0, end = 0, others
    cdef bint is_param
    while True:
        link = NULL
        is_param = False
        if position == n:
            if ((node.hosts and choose_by_host(trie, node, base, query, out))
                    or (node.rules and choose(trie, node.rules, base, query, out))):
                out.n_params = n_params
                return True
        else:
            if stage == LITERAL:
                stage = TYPED
                if node.fanout:
                    edge = literal_edge(trie, node, path, position, n)
                    if edge != NULL:
                        link = &edge.to
                        end = position + edge.text_n
            if link == NULL and stage < REST and (
                    node.int_child.child | node.uuid_child.child | node.plain_child.child):
                is_param = True
                start = end = position + 1
                while end < n and path[end] != c"/":
                    end += 1
                if stage == TYPED:
                    stage = PLAIN
                    # No text is both.
                    if node.int_child.child and is_int(path + start, end - start):
                        link = &node.int_child
                    elif node.uuid_child.child and is_uuid(path + start, end - start):
                        link = &node.uuid_child
                if link == NULL:
                    stage = REST
                    if node.plain_child.child and end > start:
                        link = &node.plain_child
            if link == NULL and stage < DONE and node.rest_child.child:
                is_param = True
                start = position + 1
                end = n
                stage = DONE
                link = &node.rest_child

        if link == NULL:
            if depth == 0:
                return False
            depth -= 1
            frame = &frames[depth]
            node = frame.node
            position = frame.position
            base = frame.base
            n_params = frame.n_params
            stage = frame.stage
            continue

        others = node.rest_child.child if stage < DONE else 0
        if stage < REST:
            others |= node.plain_child.child
        if stage == TYPED:
            others |= node.int_child.child | node.uuid_child.child
        if others:
            frame = &frames[depth]
            frame.node = node
            frame.position = position
            frame.base = base
            frame.n_params = <uint16_t> n_params
            frame.stage = <uint16_t> stage
            depth += 1
        if is_param:
            out.params[n_params].start = start
            out.params[n_params].length = end - start
            n_params += 1
        node = <const Node*> at(trie, link.child)
        base += link.base
        position = end
        stage = LITERAL
