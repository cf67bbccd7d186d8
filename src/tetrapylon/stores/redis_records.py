"""How stored answers that machines share lie in Redis (or Valkey): their scripts, and what is read of them.

What ends answers is not looked for among them. It is a number in one of 65,536 slots, by URI, path, prefix
or tag, and an answer that was asked for before any of its slots last changed is none. So a purge takes as
long as any other command, nothing that was on its way meanwhile is stored after it, and what it needs is
bounded.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["CHANGE", "FIELDS", "HEAD", "KEEP", "LOOK", "VARY", "Answer", "Head", "read_answer"]

FIELDS = 256
HEAD = 2**16
"""Bytes of a head."""

SHARED = """
local state = KEYS[1]
local known = redis.call('HMGET', state, 'epoch', 'n', 'all', 'lengths')
if not known[1] then
  known = {ARGV[1], '0', '0', ''}
  redis.call('HSET', state, 'epoch', ARGV[1], 'n', 0, 'all', 0, 'lengths', '')
end
local epoch, n, all, lengths = known[1], tonumber(known[2]), tonumber(known[3]), known[4]
local function slot(how, what) return string.sub(redis.sha1hex(how .. ':' .. what), 1, 4) end
local function ended(asked, uri, path, tags)
  if asked < all then return true end
  local slots = {slot('uri', uri), slot('path', path), slot('path', string.match(path, '^[^?]*'))}
  for tag in string.gmatch(tags, '%S+') do slots[#slots + 1] = slot('tag', tag) end
  for length in string.gmatch(lengths, '%d+') do
    if #path >= tonumber(length) then slots[#slots + 1] = slot('prefix', string.sub(path, 1, length)) end
  end
  for _, changed in ipairs(redis.call('HMGET', state, unpack(slots))) do
    if changed and tonumber(changed) > asked then return true end
  end
  return false
end
"""
"""What each script begins with.

KEYS[1] is a hash: the epoch (which tells whether the rest of it was ever lost), how many changes there were,
up to which of them everything has ended, the lengths of prefixes that were purged, and by slot the number of
its last change. ARGV[1] is the epoch that begins if there is none.
"""

LOOK = (
    SHARED
    + """
local out, sent = {epoch .. ' ' .. n}, 0
local largest, enough = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 2, #KEYS do
  local had = redis.pcall('HMGET', KEYS[i], 'v', 'epoch', 'n', 'id', 'uri', 'path', 'tags', 'time', 'vary')
  local found = 0
  if had.err or (had[1] and had[1] ~= '1') then
    found = 3
  elseif had[2] ~= epoch then
    found = 0
  elseif had[9] then
    found = {had[9]}
  else
    local asked, stored = tonumber(had[3]), tonumber(had[8])
    if not (asked and stored and had[4] and had[5] and had[6] and had[7]) then
      found = 3
    elseif #had[6] > 65536 or #had[7] > 32768 then
      found = 3
    elseif ended(asked, had[5], had[6], had[7]) then
      redis.call('UNLINK', KEYS[i])
    elseif had[4] == ARGV[i + 2] then
      found = 1
    elseif redis.call('HSTRLEN', KEYS[i], 'body') > largest
      or redis.call('HSTRLEN', KEYS[i], 'head') > 65536 then
      found = 3
    elseif sent >= enough then
      found = 2
    else
      local now = redis.call('TIME')
      local rest = redis.call('HMGET', KEYS[i], 'head', 'body')
      found = 3
      if rest[1] and rest[2] then
        sent = sent + #rest[2]
        found = {had[4], now[1] * 1000000 + now[2] - stored, had[6], had[7], rest[1], rest[2]}
      end
    end
  end
  out[i] = found
end
return out
"""
)
"""KEYS[2...] of answers; the largest body, the bytes in one reply, and for each key the id that is known.

Returns how far changes have come, and for each key: 0 nothing, 1 what is known, 2 ask again, 3 it cannot be
read, the names of fields by which several lie there, or an answer: id, age there (us), path, tags, head and
body.
"""

KEEP = (
    SHARED
    + """
local time = redis.call('TIME')
local out = {}
-- Not what is there already: a script that has written before is not refused for want of memory.
local function clear(key)
  local there = redis.call('TYPE', key).ok
  if there ~= 'hash' and there ~= 'none' then redis.call('DEL', key) end
end
for i = 2, #KEYS, 2 do
  local a = 2 + (i - 2) / 2 * 10
  local ttl, id = tonumber(ARGV[a]), ARGV[a + 1]
  out[i / 2] = 0
  if ttl == 0 then
    if redis.call('HGET', KEYS[i], 'id') == id then redis.call('UNLINK', KEYS[i]) end
  elseif ARGV[a + 2] == epoch and not ended(tonumber(ARGV[a + 3]), ARGV[a + 4], ARGV[a + 5], ARGV[a + 6]) then
    clear(KEYS[i])
    redis.call('HSET', KEYS[i], 'v', '1', 'epoch', epoch, 'n', ARGV[a + 3], 'id', id, 'uri', ARGV[a + 4],
      'path', ARGV[a + 5], 'tags', ARGV[a + 6], 'time', string.format('%.0f', time[1] * 1000000 + time[2]),
      'head', ARGV[a + 7], 'body', ARGV[a + 8])
    redis.call('HDEL', KEYS[i], 'vary')
    redis.call('PEXPIRE', KEYS[i], ttl)
    if KEYS[i + 1] ~= KEYS[i] then
      local same = redis.call('HGET', KEYS[i + 1], 'vary') == ARGV[a + 9]
      local left = same and redis.call('PTTL', KEYS[i + 1]) or 0
      clear(KEYS[i + 1])
      redis.call('HSET', KEYS[i + 1], 'v', '1', 'epoch', epoch, 'vary', ARGV[a + 9])
      redis.call('HDEL', KEYS[i + 1], 'id', 'n', 'uri', 'path', 'tags', 'time', 'head', 'body')
      redis.call('PEXPIRE', KEYS[i + 1], math.max(left, ttl))
    end
    out[i / 2] = 1
  end
end
return out
"""
)
"""KEYS[2...]: of each answer its own, and that which tells how it varies (the same: it does not).

ARGV of each: how long it is kept (ms; 0: it goes, if it is still the one of that id), its id, the epoch and
the number of changes as it was asked for, URI, path, tags, head, body, and the fields by which it varies.
Returns for each whether it was stored: not if something that ends it came meanwhile.
"""

CHANGE = (
    SHARED
    + """
n = n + 1
redis.call('HSET', state, 'n', n)
for i = 2, #ARGV, 2 do
  redis.call('HSET', state, slot(ARGV[i], ARGV[i + 1]), n)
  if ARGV[i] == 'prefix' then
    local length, there, count = tostring(#ARGV[i + 1]), false, 0
    for each in string.gmatch(lengths, '%d+') do
      count = count + 1
      there = there or each == length
    end
    if not there and count < 64 then
      lengths = lengths .. ' ' .. length
    elseif not there then
      lengths = ''
      redis.call('HSET', state, 'all', n)
    end
  end
end
redis.call('HSET', state, 'lengths', lengths)
return n
"""
)
"""What ends, in pairs: `uri`, `path`, `prefix` or `tag`, and which. With more than 64 lengths of prefixes,
all.
"""

# Raw numbers and names: everything that a gateway would not have written is refused.

Span = Annotated[int, Meta(ge=0, le=2**31 * 10**6)]
"""Microseconds."""
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
VARY = re.compile(rb"[!#$%&'+.^_`|~0-9a-z-]{1,256}(,[!#$%&'+.^_`|~0-9a-z-]{1,256}){0,15}")
PATH = re.compile(rb"/[^\x00-\x20\x7f]{0,65535}")
TAGS = re.compile(rb"([^\x00-\x20\x7f]{1,256}( [^\x00-\x20\x7f]{1,256}){0,63})?")
ID = re.compile(rb"[0-9a-f]{16}")
NEVER = frozenset(
    (
        *(
            b"age",
            b"connection",
            b"content-length",
            b"keep-alive",
            b"proxy-authenticate",
            b"proxy-connection",
        ),
        *(b"set-cookie", b"set-cookie2", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    )
)
"""Fields that no stored answer has."""


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    status: Annotated[int, Meta(ge=200, le=599)]
    fields: Annotated[tuple[tuple[bytes, bytes], ...], Meta(max_length=FIELDS)]
    vary: bytes | None
    age: Span
    lifetime: Span
    late: Span
    faulty: Span
    dated: Annotated[int, Meta(ge=-1, le=2**40)]
    flags: Annotated[int, Meta(ge=0, le=7)]
    """1: it is always asked about; 2: never used after its time; 4: for those as well of whom it is known who
    asks."""


class Answer(msgspec.Struct, frozen=True):
    id: bytes
    path: bytes
    tags: tuple[bytes, ...]
    body: bytes
    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    vary: bytes | None
    age: int
    lifetime: int
    late: int
    faulty: int
    dated: int
    flags: int


def read_answer(id: bytes, resident: int, path: bytes, tags: bytes, head: bytes, body: bytes) -> Answer:
    """Raises ValueError for what no gateway has written."""
    said = msgspec.msgpack.decode(head, type=Head)
    fits = ID.fullmatch(id) and PATH.fullmatch(path) and TAGS.fullmatch(tags)
    if not fits or (said.vary is not None and not VARY.fullmatch(said.vary)):
        raise ValueError("an id, path, tag or Vary that is none")
    for name, value in said.fields:
        if not FIELD.fullmatch(name) or not VALUE.fullmatch(value) or name.lower() in NEVER:
            raise ValueError("a field that is none of a stored answer")
    given = msgspec.structs.asdict(said)
    given["age"] = said.age + max(0, resident)
    return Answer(id=id, path=path, tags=tuple(tags.split()), body=body, **given)
