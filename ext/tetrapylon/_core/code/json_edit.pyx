"""JSON text changed without being decoded."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp

from tetrapylon._core.buffer cimport Buffer

import re

import msgspec

cdef object Raw = msgspec.Raw
cdef object decode_raw = msgspec.json.Decoder(Raw).decode
cdef object decode_name = msgspec.json.Decoder(str).decode
cdef object decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
cdef object encode = msgspec.json.encode
cdef object DOT = re.compile(r"(?<!\\)\.")


cdef bytes checked(bytes text):
    try:
        found = decode_raw(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    if not text.isascii():              # which the decoder of a Raw does not look at
        try:
            PyUnicode_DecodeUTF8(text, len(text), NULL)
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8 at byte {error.start}") from None
    return bytes(found) if is_space(text[0]) or is_space(text[len(text) - 1]) else text


cdef inline bint is_space(char c) noexcept:
    return c == c" " or c == c"\n" or c == c"\r" or c == c"\t"


# A walk over text that is known to be well-formed.

cdef inline const char* past_space(const char* at) noexcept:
    while is_space(at[0]):
        at += 1
    return at


cdef inline const char* past_string(const char* at) noexcept:
    """`at` is its first quote."""
    at += 1
    while at[0] != c'"':
        at += 2 if at[0] == c"\\" else 1
    return at + 1


cdef const char* past_value(const char* at) noexcept:
    cdef Py_ssize_t depth = 0
    while True:
        if at[0] == c'"':
            at = past_string(at)
        elif at[0] == c"{" or at[0] == c"[":
            depth += 1
            at += 1
        elif at[0] == c"}" or at[0] == c"]":
            depth -= 1
            at += 1
        elif depth:
            at += 1
            continue
        else:                           # a number or a word; the text ends in NUL
            while at[0] and memchr(b",]} \t\r\n", at[0], 7) is NULL:
                at += 1
        if not depth:
            return at


cdef inline const char* next_member(const char* at, Slice* name) noexcept:
    """From behind `{`, or behind a value, to the next one's value, or to `}`."""
    at = past_space(at)
    if at[0] == c",":
        at = past_space(at + 1)
    if at[0] == c"}":
        return at
    name.data = at + 1
    at = past_string(at)
    name.n = at - 1 - name.data
    at = past_space(at)
    return past_space(at + 1)


cdef bint is_name(Slice name, bytes wanted) except -1:
    cdef bytes plain
    if memchr(name.data, c"\\", name.n) is NULL:
        return name.n == <size_t>PyBytes_GET_SIZE(wanted) and memcmp(
            name.data, PyBytes_AS_STRING(wanted), name.n) == 0
    plain = (<str>decode_name(PyBytes_FromStringAndSize(name.data - 1, name.n + 2))).encode()
    return plain == wanted


cdef class Edit:
    cdef Edit member(self, Slice name):
        for each in self.members:
            if is_name(name, (<Edit>each).name):
                return <Edit>each
        return None

    cdef Edit renamed_to(self, Slice name):
        """Whose new name this is already, before the change."""
        for each in self.members:
            if (<Edit>each).renamed is not None and is_name(name, decode_name((<Edit>each).renamed).encode()):
                return <Edit>each
        return None

    cdef int copy(self, const char** at, Buffer out) except -1:
        """The value at `at[0]`, changed; `at[0]` is then behind it."""
        cdef const char* start
        cdef bint first = True
        if self.members is None or at[0][0] not in (c"{", c"["):
            start = at[0]
            at[0] = past_value(start)
            if self.only:               # nothing that was picked is in it
                out.append(b"null", 4)
            else:
                out.append(start, at[0] - start)
            return 0
        if at[0][0] == c"{":
            return self.copy_object(at, out)
        out.append(b"[", 1)
        at[0] = past_space(at[0] + 1)
        while at[0][0] != c"]":
            if not first:
                out.append(b",", 1)
            first = False
            self.copy(at, out)
            at[0] = past_space(at[0])
            if at[0][0] == c",":
                at[0] = past_space(at[0] + 1)
        at[0] += 1
        out.append(b"]", 1)
        return 0

    cdef int copy_object(self, const char** at, Buffer out) except -1:
        cdef const char* begin = at[0]
        cdef const char* start
        cdef Slice name
        cdef Edit edit, other
        cdef bint first = True
        out.append(b"{", 1)
        at[0] += 1
        while True:
            at[0] = next_member(at[0], &name)
            if at[0][0] == c"}":
                break
            edit = self.member(name)
            if edit is None:
                other = self.renamed_to(name) if self.renames else None
                if self.only or (other is not None and has(begin, other.name)):
                    at[0] = past_value(at[0])
                    continue
            elif edit.dropped:
                at[0] = past_value(at[0])
                continue
            if not first:
                out.append(b",", 1)
            first = False
            if edit is not None and edit.renamed is not None:
                out.append(PyBytes_AS_STRING(edit.renamed), PyBytes_GET_SIZE(edit.renamed))
            else:
                out.append(name.data - 1, name.n + 2)
            out.append(b":", 1)
            if edit is not None:
                edit.copy(at, out)
            else:
                start = at[0]
                at[0] = past_value(start)
                out.append(start, at[0] - start)
        at[0] += 1
        out.append(b"}", 1)
        return 0


cdef bint has(const char* at, bytes wanted) except -1:
    """Has the object at `at` a member of that name?"""
    cdef Slice name
    at += 1
    while True:
        at = next_member(at, &name)
        if at[0] == c"}":
            return False
        if is_name(name, wanted):
            return True
        at = past_value(at)


cdef bytes edited(Edit edit, bytes text):
    cdef Buffer out = Buffer()
    cdef const char* at = past_space(PyBytes_AS_STRING(text))
    edit.copy(&at, out)
    return PyBytes_FromStringAndSize(out.data + out.start, out.end - out.start)


cdef bint find(bytes text, tuple path, Slice* found) except -1:
    """The value at a path of member names and, in arrays, numbers; False: there is none."""
    cdef const char* at = past_space(PyBytes_AS_STRING(text))
    cdef Slice name
    cdef bytes step
    cdef Py_ssize_t index
    for each in path:
        step = <bytes>each
        if at[0] == c"{":
            at += 1
            while True:
                at = next_member(at, &name)
                if at[0] == c"}":
                    return False
                if is_name(name, step):
                    break
                at = past_value(at)
        elif at[0] == c"[" and step.isdigit() and len(step) < 10:
            index = int(step)
            at = past_space(at + 1)
            while at[0] != c"]" and index:
                at = past_space(past_value(at))
                if at[0] == c",":
                    at = past_space(at + 1)
                index -= 1
            if at[0] == c"]":
                return False
        else:
            return False
    found.data = at
    found.n = past_value(at) - at
    return True


cdef bytes with_default(bytes text, tuple path, bytes value):
    cdef Buffer out = Buffer()
    cdef const char* at = past_space(PyBytes_AS_STRING(text))
    put_default(&at, path, 0, value, out)
    return PyBytes_FromStringAndSize(out.data + out.start, out.end - out.start)


cdef int put_default(const char** at, tuple path, Py_ssize_t step, bytes value, Buffer out) except -1:
    """The value at `at[0]`, with `value` where the rest of the path leads nowhere."""
    cdef const char* start = at[0]
    cdef Slice name
    cdef bytes missing
    cdef bint found = False, first = True
    if step == len(path) or start[0] not in (c"{", c"["):
        at[0] = past_value(start)
        out.append(start, at[0] - start)
        return 0
    if start[0] == c"[":
        out.append(b"[", 1)
        at[0] = past_space(start + 1)
        while at[0][0] != c"]":
            if not first:
                out.append(b",", 1)
            first = False
            put_default(at, path, step, value, out)
            at[0] = past_space(at[0])
            if at[0][0] == c",":
                at[0] = past_space(at[0] + 1)
        at[0] += 1
        out.append(b"]", 1)
        return 0
    out.append(b"{", 1)
    at[0] += 1
    while True:
        at[0] = next_member(at[0], &name)
        if at[0][0] == c"}":
            break
        if not first:
            out.append(b",", 1)
        first = False
        out.append(name.data - 1, name.n + 2)
        out.append(b":", 1)
        if is_name(name, <bytes>path[step]):
            found = True
            put_default(at, path, step + 1, value, out)
        else:
            start = at[0]
            at[0] = past_value(start)
            out.append(start, at[0] - start)
    at[0] += 1
    if not found:
        missing = value
        for each in reversed(path[step + 1:]):
            missing = b"{" + encode((<bytes>each).decode()) + b":" + missing + b"}"
        missing = (b"" if first else b",") + encode((<bytes>path[step]).decode()) + b":" + missing
        out.append(PyBytes_AS_STRING(missing), len(missing))
    out.append(b"}", 1)
    return 0


cdef Edit grown(Edit root, str path):
    """The edit for what the path leads to, made where there is none yet."""
    cdef Edit at = root, below
    for step in split(path):
        if at.members is None:
            at.members = []
        for each in at.members:
            if (<Edit>each).name == step:
                below = <Edit>each
                break
        else:
            below = Edit.__new__(Edit)
            below.name = step
            at.members.append(below)
        at = below
    return at


def split(str path not None):
    """The names of a path, as UTF-8: `address.city`; a dot in a name is written `\\.`."""
    return tuple([step.replace("\\.", ".").encode() for step in DOT.split(path)])


def make_edit(pick=(), drop=(), rename=None):
    """From paths, and paths with new names; None: nothing is to be changed.

    With `pick`, everything else goes.
    """
    cdef Edit root = Edit.__new__(Edit), at
    for path in pick:
        at = root
        for step in split(path):
            at.only = True
            at = grown(at, step.decode().replace(".", "\\."))
    for path in drop:
        grown(root, path).dropped = True
    for path, name in (rename or {}).items():
        grown(root, path).renamed = encode(name)
        at = root
        *above, _ = split(path)
        for step in above:
            at = grown(at, step.decode().replace(".", "\\."))
        at.renames = True
    return None if root.members is None else root


def check(bytes text not None):
    """The text without blanks around it. Raises ValueError for what is not one JSON value in UTF-8."""
    return checked(text)


def edit(Edit edit not None, bytes text not None):
    """Well-formed JSON, changed."""
    return edited(edit, text)


def default(bytes text not None, tuple path not None, bytes value not None):
    """Checked JSON with a value at a path, as `split` gives it, where there is none."""
    return with_default(text, path, value)


def value_at(bytes text not None, tuple path not None):
    """The text of the value at a path, as `split` gives it; None where there is none."""
    cdef Slice found
    return PyBytes_FromStringAndSize(found.data, found.n) if find(text, path, &found) else None


def members(bytes text not None):
    """The members of an object, name and value as JSON; of equal names the last counts.

    Raises ValueError for what is no object.
    """
    try:
        return {encode(name): bytes(value) for name, value in decode_members(text).items()}
    except msgspec.MsgspecError:
        raise ValueError("it is no JSON object") from None
