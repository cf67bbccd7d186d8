"""A pass over JSON before it is decoded: what decoders let by, and what two readers could take differently.

RFC 8259 section 4 leaves open which of two equal names counts; RFC 7493 (I-JSON) forbids them, and so does
this. Malformed JSON passes: the decoder that comes next says better what is wrong with it.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

import json

cdef enum:
    DEEPEST = 64                # levels of nesting
    FEW = 16                    # names of an object that are compared one by one


cdef struct Name:
    uint32_t start
    uint32_t length
    uint64_t tag                # length and first bytes


cdef struct Level:
    bint is_object
    uint32_t count              # names, or items, so far
    Name last
    int first                   # of its names, in `names`


cdef class BadJson(Exception):
    def __init__(self, str what, str path):
        super().__init__(what)
        self.what = what
        self.path = path


cdef str plain(const char* data, const Name* name):
    """A name as text, its escapes resolved."""
    cdef bytes raw = data[name.start:name.start + name.length]
    if b"\\" in raw:
        try:
            return json.loads(b'"' + raw + b'"')
        except ValueError:
            pass
    return raw.decode("utf-8", "replace")


cdef str path_of(const char* data, const Level* levels, int depth, bint whole):
    cdef str text = ""
    cdef int i
    for i in range(depth if whole else depth - 1):
        if levels[i].is_object:
            text += ("." if text else "") + plain(data, &levels[i].last)
        else:
            text += f"[{levels[i].count}]"
    return text


cdef inline uint64_t tag_of(const char* data, uint32_t n) noexcept:
    cdef uint64_t tag = n
    cdef uint32_t i
    for i in range(n if n < 7 else 7):
        tag = tag << 8 | <unsigned char>data[i]
    return tag


cdef int hold_to_rules(const char* data, size_t n) except -1:
    cdef Level[DEEPEST] levels
    cdef Name[DEEPEST * FEW] names      # of the objects that are open, the outermost first
    cdef list many = None               # sets of names, of objects with more than FEW
    cdef int depth = 0, used = 0, k
    cdef size_t i = 0, start
    cdef bint wide = False, escaped, is_name = False
    cdef char c
    cdef Level* level
    cdef Name* name
    if n > 0xFFFFFFFF:
        raise BadJson("the JSON is larger than 4 GiB", "")
    while i < n:
        c = data[i]
        if c == c'"':
            start = i + 1
            i += 1
            escaped = False
            while i < n and data[i] != c'"':
                if data[i] == c"\\":
                    escaped = True
                    i += 1
                elif data[i] & 0x80:
                    wide = True
                i += 1
            if i >= n:
                break
            if is_name and depth:
                is_name = False
                level = &levels[depth - 1]
                level.last.start = <uint32_t>start
                level.last.length = <uint32_t>(i - start)
                level.last.tag = tag_of(data + start, level.last.length)
                if escaped or level.count >= FEW or many is not None:
                    many = note_name(data, levels, names, depth, many)
                else:
                    for k in range(level.first, level.first + <int>level.count):
                        name = &names[k]
                        if (name.tag == level.last.tag and name.length == level.last.length
                                and memcmp(data + name.start, data + start, name.length) == 0):
                            raise BadJson("the name stands twice in one object",
                                          path_of(data, levels, depth, True))
                    names[used] = level.last
                    used += 1
                level.count += 1
        elif c == c"{" or c == c"[":
            if depth == DEEPEST:
                raise BadJson(f"nested deeper than {DEEPEST} levels", path_of(data, levels, depth, True))
            level = &levels[depth]
            level.is_object = c == c"{"
            level.count = 0
            level.first = used
            level.last.start = level.last.length = 0
            depth += 1
            is_name = level.is_object
            if many is not None:
                many.append(set() if level.is_object else None)
        elif c == c"}" or c == c"]":
            if depth == 0:
                break
            depth -= 1
            used = levels[depth].first
            is_name = False
            if many is not None:
                many.pop()
                if not depth:
                    many = None
        elif c == c",":
            if depth:
                level = &levels[depth - 1]
                is_name = level.is_object
                if not level.is_object:
                    level.count += 1
        i += 1
    if wide:
        try:
            PyUnicode_DecodeUTF8(data, n, NULL)
        except UnicodeDecodeError as error:
            raise BadJson(f"not UTF-8 at byte {error.start}", where(data, error.start)) from None
    return 0


cdef list note_name(const char* data, const Level* levels, const Name* names, int depth, list many):
    """From here on names are kept in sets: there are many, or their spelling says not what they are."""
    cdef int i, k
    cdef set found
    if many is None:
        many = []
        for i in range(depth):
            if not levels[i].is_object:
                many.append(None)
                continue
            found = set()
            for k in range(levels[i].first, levels[i].first + <int>levels[i].count):
                found.add(plain(data, &names[k]))
            many.append(found)
    found = <set>many[depth - 1]
    text = plain(data, &levels[depth - 1].last)
    if text in found:
        raise BadJson("the name stands twice in one object", path_of(data, levels, depth, True))
    found.add(text)
    return many


cdef str where(const char* data, size_t stop):
    """The path of the value that byte `stop` belongs to."""
    cdef Level[DEEPEST] levels
    cdef int depth = 0
    cdef size_t i = 0, start
    cdef bint is_name = False
    cdef char c
    while i < stop:
        c = data[i]
        if c == c'"':
            start = i + 1
            i += 1
            while i < stop and data[i] != c'"':
                i += 2 if data[i] == c"\\" else 1
            if i >= stop:
                break
            if is_name:
                levels[depth - 1].last.start = <uint32_t>start
                levels[depth - 1].last.length = <uint32_t>(i - start)
                is_name = False
        elif c == c"{" or c == c"[":
            if depth == DEEPEST:
                break
            levels[depth].is_object = is_name = c == c"{"
            levels[depth].count = 0
            levels[depth].last.start = levels[depth].last.length = 0
            depth += 1
        elif (c == c"}" or c == c"]") and depth:
            depth -= 1
            is_name = False
        elif c == c"," and depth:
            is_name = levels[depth - 1].is_object
            levels[depth - 1].count += 1
        i += 1
    return path_of(data, levels, depth, True)


def check(bytes data not None):
    """Raises BadJson, whose `path` names the value, for what breaks the rules; malformed JSON passes."""
    hold_to_rules(data, len(data))
