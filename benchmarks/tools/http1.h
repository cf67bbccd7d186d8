/* The little HTTP/1.1 (RFC 9112) that the benchmark's upstream and its load generator share. */
#ifndef HTTP1_H
#define HTTP1_H

#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Length of the head with its empty line, or 0 while it is incomplete. */
static inline size_t head_length(const char *data, size_t size)
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - data) + 4 : 0;
}

/* The value of field `name` (lower case) in a complete head, or NULL; its length goes to `length`. */
static inline const char *field(const char *head, size_t size, const char *name, size_t *length)
{
    size_t name_length = strlen(name);
    const char *end = head + size, *line = memchr(head, '\n', size);
    while (line && ++line + name_length < end) {
        if ((*line | 0x20) == *name && line[name_length] == ':' && !strncasecmp(line, name, name_length)) {
            const char *value = line + name_length + 1;
            while (*value == ' ' || *value == '\t')
                value++;
            *length = (size_t)((const char *)memchr(value, '\r', (size_t)(end - value)) - value);
            return value;
        }
        line = memchr(line, '\n', (size_t)(end - line));
    }
    return NULL;
}

static inline int field_is(const char *head, size_t size, const char *name, const char *value)
{
    size_t length;
    const char *found = field(head, size, name, &length);
    return found && length == strlen(value) && !strncasecmp(found, value, length);
}

/* How the body of a message is framed (RFC 9112, section 6). */
struct body {
    enum { NO_BODY, BY_LENGTH, BY_CHUNKS } framing;
    uint64_t left;     /* bytes still to come: of the body, or of the chunk at hand */
    uint64_t received; /* bytes of content so far */
    enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER_START, TRAILER, BODY_DONE } state;
    int digits;
};

static inline void body_begin(struct body *b, const char *head, size_t size)
{
    size_t length;
    const char *value;
    memset(b, 0, sizeof *b);
    if (field_is(head, size, "transfer-encoding", "chunked")) {
        b->framing = BY_CHUNKS;
    } else if ((value = field(head, size, "content-length", &length))) {
        b->framing = BY_LENGTH;
        b->left = strtoull(value, NULL, 10);
    }
}

static inline int body_done(const struct body *b)
{
    return b->framing == BY_CHUNKS ? b->state == BODY_DONE : b->left == 0;
}

/* Takes bytes of the body; returns how many belonged to it, or -1 when a chunk is malformed. */
static inline ssize_t body_feed(struct body *b, const char *data, size_t size)
{
    if (b->framing != BY_CHUNKS) {
        size_t take = size < b->left ? size : (size_t)b->left;
        b->left -= take;
        b->received += take;
        return (ssize_t)take;
    }
    size_t at = 0;
    while (at < size && b->state != BODY_DONE) {
        char c = data[at];
        switch (b->state) {
        case CHUNK_SIZE:
            if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) {
                if (++b->digits > 15)
                    return -1;
                b->left = b->left * 16 + (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
                break;
            }
            if (!b->digits)
                return -1;
            b->state = CHUNK_EXTENSION;
            continue;
        case CHUNK_EXTENSION:
            if (c == '\n')
                b->state = b->left ? CHUNK_DATA : TRAILER_START;
            break;
        case CHUNK_DATA: {
            size_t take = size - at < b->left ? size - at : (size_t)b->left;
            b->left -= take;
            b->received += take;
            at += take;
            if (b->left == 0)
                b->state = CHUNK_END;
            continue;
        }
        case CHUNK_END:
            if (c == '\n') {
                b->state = CHUNK_SIZE;
                b->digits = 0;
            } else if (c != '\r') {
                return -1;
            }
            break;
        case TRAILER_START:
            if (c == '\n')
                b->state = BODY_DONE;
            else if (c != '\r')
                b->state = TRAILER;
            break;
        case TRAILER:
            if (c == '\n')
                b->state = TRAILER_START;
            break;
        case BODY_DONE:
            break;
        }
        at++;
    }
    return (ssize_t)at;
}

#endif
