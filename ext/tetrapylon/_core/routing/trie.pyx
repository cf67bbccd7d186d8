from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memchr, memcmp, memset

from tetrapylon._core.routing.path cimport is_int, is_uuid

cdef extern from *:
    void __builtin_prefetch(const void* address) noexcept nogil

ANY_METHOD = ~(<uint64_t> 0)
OTHER_METHOD = (<uint64_t> 1) << METHOD_BITS


cdef void release(Trie* trie) noexcept nogil:
    free(trie.arena.base)
    free(trie.destinations)
    memset(trie, 0, sizeof(Trie))


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
    cdef uint32_t tag, slot, end
    if node.fanout == 1:
        edge = <const Edge*> at(trie, node.literals)
        return edge if edge_holds(edge, path, start, n) else NULL
    end = start + 1
    while end < n and path[end] != c"/":
        end += 1
    tag = hash_text(path + start + 1, end - start - 1)
    slots = <const Slot*> at(trie, node.literals)
    slot = first_slot(tag, node.fanout)
    while slots[slot].edge:
        if slots[slot].tag == tag:
            edge = <const Edge*> at(trie, slots[slot].edge)
            if edge_holds(edge, path, start, n):
                return edge
        slot = slot + 1 if slot + 1 < node.fanout else 0
    return NULL


# Lower-cases the request's host without its port and final dot, and looks up it and the wildcards that
# cover it, nearest first.
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
    cdef uint32_t _
    if query.lookup == NULL:
        return False
    for _ in range(count[0]):
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


cdef bint choose_by_host(const Trie* trie, const Node* node, uint32_t base,
                         Query* query, Match* out) noexcept:
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
        # It will be near, if this is the way.
        __builtin_prefetch(&trie.destinations[base])
        position = end
        stage = LITERAL
