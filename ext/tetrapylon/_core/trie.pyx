from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort
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
    MAX_FANOUT = 31

# A node stands where whole segments have been consumed. Its own text follows it: the literal segments on the edge that
# leads here, each with its leading slash, none for a parameter. Then, as far as there are: its rules, its host table,
# its children table, its children. So a subtree is one run of memory.
cdef struct Node:
    uint32_t literals        # the one literal child, or a hash table of them
    uint32_t int_child
    uint32_t uuid_child
    uint32_t plain_child
    uint32_t rest_child
    uint32_t rules           # of the routes that end here and take any host
    uint32_t hosts           # HostRules of those that name one
    uint16_t text_n
    uint8_t fanout           # 0 no literal child, 1 one, else log2 of the table's slots

cdef struct Slot:
    uint32_t tag
    uint32_t child

# What ends a pattern. Rules stand in order of precedence.
cdef struct Rule:
    void* destination
    uint64_t methods
    uint32_t route
    uint32_t headers         # uint32 count, then Conditions; 0 for none
    uint32_t last

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


cdef uint32_t write_rules(Trie* trie, const Key* keys, uint32_t low, uint32_t high) noexcept nogil:
    cdef uint32_t offset = reserve(trie, (high - low) * sizeof(Rule))
    cdef Rule* rule
    cdef uint32_t i
    if offset:
        rule = <Rule*> at(trie, offset)
        for i in range(low, high):
            rule.destination = keys[i].destination
            rule.methods = keys[i].methods
            rule.route = keys[i].route
            rule.headers = keys[i].headers
            rule.last = i + 1 == high
            rule += 1
    return offset


# Rules of the routes that end at `node`: those for any host (0 sorts first), then a table of the others.
cdef int end_node(Trie* trie, uint32_t node, const Key* keys, uint32_t low, uint32_t high) noexcept nogil:
    cdef uint32_t i = low, j, hosts = 0, table, rules
    while i < high and keys[i].host == 0:
        i += 1
    if i > low:
        rules = write_rules(trie, keys, low, i)
        if not rules:
            return -1
        (<Node*> at(trie, node)).rules = rules
    if i == high:
        return 0
    for j in range(i, high):
        hosts += j == i or keys[j].host != keys[j - 1].host
    table = reserve(trie, sizeof(HostRules) + hosts * sizeof(HostRules))
    if not table:
        return -1
    (<Node*> at(trie, node)).hosts = table
    (<uint32_t*> at(trie, table))[0] = hosts
    hosts = 0
    while i < high:
        j = i + 1
        while j < high and keys[j].host == keys[i].host:
            j += 1
        rules = write_rules(trie, keys, i, j)
        if not rules:
            return -1
        hosts += 1
        (<HostRules*> at(trie, table))[hosts].host = keys[i].host
        (<HostRules*> at(trie, table))[hosts].rules = rules
        i = j
    return 0


# The node for keys[low:high], which agree up to `end`; the edge to it is keys[low].text[start:end], a literal if
# `text` is set. Returns its offset, 0 when out of memory.
cdef uint32_t build(Trie* trie, const Key* keys, uint32_t low, uint32_t high,
                    uint32_t start, uint32_t end, bint text) noexcept nogil:
    cdef uint32_t size = end - start if text else 0
    cdef uint32_t node = reserve(trie, sizeof(Node) + size)
    cdef uint32_t i = low, j, k, stop, next_stop, child, literals = 0, mask = 0, slot, tag
    cdef int mark
    cdef char* copy
    cdef Slot* slots
    cdef Node* here
    if not node:
        return 0
    here = <Node*> at(trie, node)
    here.text_n = <uint16_t> size
    copy = <char*> (here + 1)
    for k in range(size):
        copy[k] = keys[low].text[start + k] or c"/"

    while i < high and keys[i].length == end:
        i += 1
    if i > low and end_node(trie, node, keys, low, i) < 0:
        return 0

    k = i
    while k < high:
        stop = segment_end(&keys[k], end)
        literals += marker(&keys[k], end) == 0
        k = group(keys, k, high, end, stop)
    if literals > 1:
        here = <Node*> at(trie, node)
        here.fanout = 2
        while (<uint32_t> 1 << here.fanout) * 2 < literals * 3:
            here.fanout += 1
        mask = (<uint32_t> 1 << here.fanout) - 1
        slot = reserve(trie, (mask + 1) * sizeof(Slot))
        if not slot:
            return 0
        (<Node*> at(trie, node)).literals = slot

    while i < high:
        stop = segment_end(&keys[i], end)
        j = group(keys, i, high, end, stop)
        mark = marker(&keys[i], end)
        if mark:
            child = build(trie, keys, i, j, end, stop, False)
            if not child:
                return 0
            here = <Node*> at(trie, node)
            if mark == MARK_INT:
                here.int_child = child
            elif mark == MARK_UUID:
                here.uuid_child = child
            elif mark == MARK_PLAIN:
                here.plain_child = child
            else:
                here.rest_child = child
        else:
            tag = hash_text(keys[i].text + end + 1, stop - end - 1)
            # Keys that go on together share one edge.
            while keys[i].length > stop and not marker(&keys[i], stop):
                next_stop = segment_end(&keys[i], stop)
                if not shares(&keys[j - 1], &keys[i], stop, next_stop):
                    break
                stop = next_stop
            child = build(trie, keys, i, j, end, stop, True)
            if not child:
                return 0
            here = <Node*> at(trie, node)
            if literals == 1:
                here.literals = child
                here.fanout = 1
            else:
                slots = <Slot*> at(trie, here.literals)
                slot = tag & mask
                while slots[slot].child:
                    slot = (slot + 1) & mask
                slots[slot].tag = tag
                slots[slot].child = child
        i = j
    return node


cdef int pack(Trie* trie, const Key* keys, uint32_t n) noexcept nogil:
    trie.root = build(trie, keys, 0, n, 0, 0, False)
    return 0 if trie.root else -1


cdef void release(Trie* trie) noexcept nogil:
    free(trie.arena.base)
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
    uint16_t n_params
    uint16_t stage


cdef inline const Node* literal_child(const Trie* trie, const Node* node, const char* path,
                                      Py_ssize_t start, Py_ssize_t n) noexcept:
    cdef const Node* child
    cdef const Slot* slots
    cdef const char* stop
    cdef uint32_t tag, slot, mask
    cdef Py_ssize_t end
    if node.fanout == 0:
        return NULL
    if node.fanout == 1:
        child = <const Node*> at(trie, node.literals)
        return child if edge_holds(child, path, start, n) else NULL
    end = start + 1
    while end < n and path[end] != c"/":
        end += 1
    tag = hash_text(path + start + 1, end - start - 1)
    slots = <const Slot*> at(trie, node.literals)
    mask = (<uint32_t> 1 << node.fanout) - 1
    slot = tag & mask
    while slots[slot].child:
        if slots[slot].tag == tag:
            child = <const Node*> at(trie, slots[slot].child)
            if edge_holds(child, path, start, n):
                return child
        slot = (slot + 1) & mask
    return NULL


cdef inline bint edge_holds(const Node* child, const char* path, Py_ssize_t start, Py_ssize_t n) noexcept:
    cdef Py_ssize_t end = start + child.text_n
    return (end <= n and memcmp(child + 1, path + start, child.text_n) == 0
            and (end == n or path[end] == c"/"))


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


cdef inline bint choose(const Trie* trie, uint32_t rules, Query* query, Match* out) noexcept:
    cdef const Rule* rule = <const Rule*> at(trie, rules)
    while True:
        if rule.headers == 0 or headers_hold(trie, rule.headers, query):
            if rule.methods & query.method:
                out.destination = rule.destination
                out.route = rule.route
                return True
            query.allowed |= rule.methods
        if rule.last:
            return False
        rule += 1


cdef bint choose_by_host(const Trie* trie, const Node* node, Query* query, Match* out) noexcept:
    cdef uint32_t rules
    cdef int i
    if query.n_hosts < 0:
        resolve_hosts(trie, query)
    for i in range(query.n_hosts):
        rules = rules_for(trie, node, query.hosts[i])
        if rules and choose(trie, rules, query, out):
            return True
    return False


cdef bint walk(const Trie* trie, Query* query, Match* out) noexcept:
    cdef const char* path = query.path
    cdef uint32_t n = <uint32_t> query.path_n
    cdef const Node* node = <const Node*> at(trie, trie.root)
    cdef const Node* child
    cdef Frame[MAX_SEGMENTS] frames
    cdef int depth = 0, stage = LITERAL
    cdef uint32_t position = 0, start = 0, end = 0, n_params = 0, others, is_param
    while True:
        child = NULL
        is_param = 0
        if position == n:
            if ((node.hosts and choose_by_host(trie, node, query, out))
                    or (node.rules and choose(trie, node.rules, query, out))):
                out.n_params = n_params
                return True
        else:
            if stage == LITERAL:
                child = literal_child(trie, node, path, position, n)
                if child != NULL:
                    end = position + child.text_n
                stage = TYPED
            if child == NULL and stage < REST and (node.int_child | node.uuid_child | node.plain_child):
                is_param = 1
                start = end = position + 1
                while end < n and path[end] != c"/":
                    end += 1
                if stage == TYPED:
                    stage = PLAIN
                    if node.int_child and is_int(path + start, end - start):
                        child = <const Node*> at(trie, node.int_child)
                    elif node.uuid_child and is_uuid(path + start, end - start):
                        child = <const Node*> at(trie, node.uuid_child)
                if child == NULL:
                    stage = REST
                    if node.plain_child and end > start:
                        child = <const Node*> at(trie, node.plain_child)
            if child == NULL and node.rest_child:
                is_param = 1
                start = position + 1
                end = n
                stage = DONE
                child = <const Node*> at(trie, node.rest_child)

        if child == NULL:
            if depth == 0:
                return False
            depth -= 1
            node = frames[depth].node
            position = frames[depth].position
            n_params = frames[depth].n_params
            stage = frames[depth].stage
            continue

        others = node.rest_child if stage < DONE else 0
        if stage < REST:
            others |= node.plain_child
        if stage == TYPED:
            others |= node.int_child | node.uuid_child
        if others:
            frames[depth].node = node
            frames[depth].position = position
            frames[depth].n_params = <uint16_t> n_params
            frames[depth].stage = <uint16_t> stage
            depth += 1
        if is_param:
            out.params[n_params].start = start
            out.params[n_params].length = end - start
            n_params += 1
        node = child
        position = end
        stage = LITERAL
