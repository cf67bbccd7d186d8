/* The upstream of the benchmark: one thread, one recv and one send a request, so that whatever stands in front
 * of it is what is measured.
 *
 *   upstream [--port N]          prints "port N" when it listens on 127.0.0.1, serves until killed
 *
 *   GET /small      203 bytes of JSON           GET /chunked   the same in two chunks
 *   GET /large      64 KiB                      GET /bytes/N   N bytes
 *   POST, PUT       any body, read whole: {"received":N}
 *   GET /wrong/status, /wrong/length, /wrong/close   broken on purpose, to test the load generator
 */
#include "http1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, BLOCK = 65536, EVENTS = 256 };

struct conn {
    int fd;
    int closing;     /* close once the answer is out */
    int in_body;     /* the request's body is being read */
    int watching;    /* EPOLLOUT is set: an answer waits for room */
    size_t have;     /* bytes in `in` */
    struct body body;
    const char *out; /* what is left of the answer's head (and body, when short) ... */
    size_t out_left;
    uint64_t block_left; /* ... and of content that is taken from `block` over and over */
    char short_answer[320];
    char in[HEAD_MAX];
};

struct answer {
    char data[512];
    size_t length;
    char *date;
    uint64_t block; /* bytes of `block` that follow */
};

static const char SMALL[] =
    "{\"id\":4711,\"name\":\"Ada Lovelace\",\"email\":\"ada@example.com\",\"roles\":[\"admin\",\"author\"],"
    "\"active\":true,\"created\":\"2024-05-01T12:00:00Z\",\"balance\":1024.5,\"tags\":[\"a\",\"b\",\"c\"],"
    "\"note\":\"as small as many a one\"}";

static char block[BLOCK];
static char date[] = "Thu, 01 Jan 1970 00:00:00 GMT";
static struct answer small, large, chunked, missing, wrong_status, wrong_length, wrong_close;
static struct answer *const all[] = {&small, &large, &chunked, &missing, &wrong_status, &wrong_length, &wrong_close};
static int epfd;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void answer_init(struct answer *a, const char *status, const char *type, const char *framing, const char *content)
{
    a->length = (size_t)snprintf(a->data, sizeof a->data,
                                 "HTTP/1.1 %s\r\nServer: upstream\r\nDate: %s\r\nContent-Type: %s\r\n%s\r\n\r\n%s",
                                 status, date, type, framing, content);
    a->date = strstr(a->data, "Date: ") + 6;
}

static void answers_init(void)
{
    char text[512], framing[64];
    size_t half = sizeof SMALL / 2;
    memset(block, 'x', sizeof block);
    snprintf(framing, sizeof framing, "Content-Length: %zu", sizeof SMALL - 1);
    answer_init(&small, "200 OK", "application/json", framing, SMALL);
    answer_init(&large, "200 OK", "application/octet-stream", "Content-Length: 65536", "");
    large.block = BLOCK;
    snprintf(text, sizeof text, "%zx\r\n%.*s\r\n%zx\r\n%s\r\n0\r\n\r\n", half, (int)half, SMALL,
             sizeof SMALL - 1 - half, SMALL + half);
    answer_init(&chunked, "200 OK", "application/json", "Transfer-Encoding: chunked", text);
    answer_init(&missing, "404 Not Found", "text/plain", "Content-Length: 10", "not found\n");
    answer_init(&wrong_status, "500 Internal Server Error", "application/json", framing, SMALL);
    answer_init(&wrong_length, "200 OK", "application/json", "Content-Length: 2", "{}");
    answer_init(&wrong_close, "200 OK", "application/json", "Content-Length: 4096", SMALL);
}

static void refresh_date(void)
{
    static time_t last;
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec == last)
        return;
    last = now.tv_sec;
    gmtime_r(&last, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        memcpy(all[i]->date, date, sizeof date - 1);
}

static void drop(struct conn *c)
{
    close(c->fd);
    free(c);
}

static void watch(struct conn *c, int output)
{
    struct epoll_event event = {.events = output ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (c->watching != output && epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &event) < 0)
        die("epoll_ctl");
    c->watching = output;
}

/* Writes what it can; 1 when all is out, 0 when it waits for room, -1 when the connection is gone. */
static int flush(struct conn *c)
{
    while (c->out_left || c->block_left) {
        struct iovec parts[2] = {
            {(void *)c->out, c->out_left},
            {block, c->block_left < BLOCK ? (size_t)c->block_left : BLOCK},
        };
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = c->block_left ? sendmsg(c->fd, &message, MSG_NOSIGNAL)
                                     : send(c->fd, c->out, c->out_left, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                return -1;
            watch(c, 1);
            return 0;
        }
        size_t head = (size_t)sent < c->out_left ? (size_t)sent : c->out_left;
        c->out += head;
        c->out_left -= head;
        c->block_left -= (size_t)sent - head;
    }
    watch(c, 0);
    return c->closing ? -1 : 1;
}

static void choose(struct conn *c, const char *head, size_t size)
{
    static const struct { const char *path; struct answer *answer; } table[] = {
        {"/small ", &small}, {"/large ", &large}, {"/chunked ", &chunked}, {"/wrong/status ", &wrong_status},
        {"/wrong/length ", &wrong_length}, {"/wrong/close ", &wrong_close},
    };
    const char *path = memchr(head, ' ', size);
    const struct answer *a = &missing;
    path = path ? path + 1 : head;
    if (!strncmp(path, "/bytes/", 7)) {
        c->block_left = strtoull(path + 7, NULL, 10);
        c->out_left = (size_t)snprintf(c->short_answer, sizeof c->short_answer,
                                       "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: %s\r\nContent-Type: "
                                       "application/octet-stream\r\nContent-Length: %llu\r\n\r\n",
                                       date, (unsigned long long)c->block_left);
        c->out = c->short_answer;
        return;
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strncmp(path, table[i].path, strlen(table[i].path)))
            a = table[i].answer;
    if (a == &wrong_close)
        c->closing = 1;
    c->out = a->data;
    c->out_left = a->length;
    c->block_left = a->block;
}

static void acknowledge(struct conn *c)
{
    char content[64];
    int length = snprintf(content, sizeof content, "{\"received\":%llu}", (unsigned long long)c->body.received);
    c->out_left = (size_t)snprintf(c->short_answer, sizeof c->short_answer,
                                   "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: %s\r\nContent-Type: "
                                   "application/json\r\nContent-Length: %d\r\n\r\n%s",
                                   date, length, content);
    c->out = c->short_answer;
}

static void forget(struct conn *c, size_t used)
{
    c->have -= used;
    if (c->have)
        memmove(c->in, c->in + used, c->have);
}

/* Answers the requests that are buffered; -1 when the connection must go. */
static int serve(struct conn *c)
{
    while (c->have) {
        if (!c->in_body) {
            size_t size = head_length(c->in, c->have);
            if (!size)
                return c->have == HEAD_MAX ? -1 : 0;
            if (field_is(c->in, size, "connection", "close"))
                c->closing = 1;
            if (c->in[0] == 'P') {
                c->in_body = 1;
                body_begin(&c->body, c->in, size);
                if (field_is(c->in, size, "expect", "100-continue"))
                    send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
            } else {
                choose(c, c->in, size);
            }
            forget(c, size);
        }
        if (c->in_body) {
            ssize_t used = body_feed(&c->body, c->in, c->have);
            if (used < 0)
                return -1;
            forget(c, (size_t)used);
            if (!body_done(&c->body))
                return 0;
            c->in_body = 0;
            acknowledge(c);
        }
        int out = flush(c);
        if (out <= 0)
            return out;
    }
    return 0;
}

static int readable(struct conn *c)
{
    if (c->in_body && c->body.framing == BY_LENGTH && c->have == 0 && c->body.left > HEAD_MAX) {
        /* MSG_TRUNC discards without copying (tcp(7)): a long upload costs next to nothing here. */
        ssize_t got = recv(c->fd, NULL, c->body.left - 1 < 1 << 20 ? c->body.left - 1 : 1 << 20, MSG_TRUNC);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? 0 : -1;
        c->body.left -= (uint64_t)got;
        c->body.received += (uint64_t)got;
        return 0;
    }
    ssize_t got = recv(c->fd, c->in + c->have, HEAD_MAX - c->have, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    c->have += (size_t)got;
    return serve(c);
}

static void accept_all(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (!c)
            die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0)
            die("epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept");
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct rlimit files;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (argc == 3 && !strcmp(argv[1], "--port")) {
        address.sin_port = htons((uint16_t)atoi(argv[2]));
    } else if (argc != 1) {
        fprintf(stderr, "usage: upstream [--port N]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &event) < 0)
        die("epoll");
    answers_init();
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (;;) {
        int count = epoll_wait(epfd, events, EVENTS, -1);
        refresh_date();
        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                accept_all(listener);
                continue;
            }
            int alive = events[i].events & EPOLLOUT ? flush(c) : readable(c);
            if (alive > 0)
                alive = serve(c);
            if (alive < 0)
                drop(c);
        }
    }
}
