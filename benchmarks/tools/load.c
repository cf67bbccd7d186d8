/* The load generator of the benchmark: one thread, one epoll set, HTTP/1.1 without pipelining.
 *
 * Closed loop (no --rate): every connection sends its next request when the last one is answered.
 * Open loop (--rate R): requests fall due every 1/R s whatever the answers do; latency counts from the moment a
 * request fell due, so a stall is charged to every request it delayed (no coordinated omission).
 *
 * Every answer is checked: status, length, and content when --expect-body gives it. The result is one line of
 * JSON: `answered` within the measured window, `recorded` latencies of requests that began in it, `unsent` ones that
 * fell due and found no connection, `unfinished` ones without an answer a second later (both recorded as at least
 * that late). With --pids it carries the CPU time these processes used between the first and the last moment of the
 * measured window, taken from their CPU clocks (nanoseconds, all threads, those gone included).
 */
#include "http1.h"
#include "histogram.h"
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SCRATCH = 1 << 18, HEAD_MAX = 8192, EVENTS = 256, GIVE_UP = 1000, HOLD_PACE = 16 };
#define SECOND 1000000000ull

enum failure { BAD_STATUS, BAD_LENGTH, BAD_CONTENT, BAD_MESSAGE, CLOSED, TIMED_OUT, NOT_CONNECTED, FAILURES };
static const char *const FAILURE_NAMES[FAILURES] = {"status", "length", "content", "message",
                                                    "closed", "timeout", "connect"};

enum state { DOWN, CONNECTING, IDLE, SENDING, WAITING, CLOSING };

struct conn {
    int fd;
    enum state state;
    int in_body, last; /* `last`: the server said Connection: close */
    int counted;       /* the request at hand belongs to the measured window */
    uint64_t due, touched;
    size_t sent, have;
    int status;
    struct body body;
    char head[HEAD_MAX];
};

static char scratch[SCRATCH];
static struct sockaddr_in target;
static struct conn *conns;
static int *idle, idle_first, idle_count; /* a ring: the connection that rested longest goes first */
static int epfd, in_flight, measuring, finished;
static struct histogram latency;
static uint64_t failures[FAILURES], total_failures, reconnects, completed, lost, issued, unsent, unfinished;
static uint64_t begun, ends, first_due, next_due_index;

static uint64_t clock_now(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t now(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

static void fail(enum failure kind)
{
    failures[kind]++;
    if (++total_failures >= GIVE_UP)
        finished = 1;
}

static void watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epfd, operation, c->fd, &event) < 0)
        die("epoll_ctl");
}

static void rest(struct conn *c)
{
    c->state = IDLE;
    idle[(idle_first + idle_count++) % option.connections] = (int)(c - conns);
}

static void unrest(struct conn *c)
{
    int kept = 0;
    for (int i = 0; i < idle_count; i++) {
        int id = idle[(idle_first + i) % option.connections];
        if (id != c - conns)
            idle[(idle_first + kept++) % option.connections] = id;
    }
    idle_count = kept;
}

static void connect_to_target(struct conn *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING;
    c->touched = now();
    if (connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS) {
        close(c->fd);
        c->state = DOWN;
        lost++;
        fail(NOT_CONNECTED);
        return;
    }
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void disconnect(struct conn *c)
{
    close(c->fd);
    c->state = DOWN;
    c->have = 0;
    c->in_body = 0;
}

static void lose(struct conn *c, enum failure kind)
{
    if (c->state == SENDING || c->state == WAITING)
        in_flight--;
    if (c->state == IDLE)
        unrest(c);
    lost++;
    fail(kind);
    disconnect(c);
    if (!finished && kind != NOT_CONNECTED) /* the sweep tries that again, not at once */
        connect_to_target(c);
}

static void push(struct conn *c)
{
    while (c->sent < request_size) {
        ssize_t sent = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) {
                lose(c, CLOSED);
                return;
            }
            if (c->state != SENDING)
                watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            c->state = SENDING;
            return;
        }
        c->sent += (size_t)sent;
    }
    if (c->state == SENDING)
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
    c->state = WAITING;
}

static void issue(struct conn *c, uint64_t due, uint64_t at)
{
    c->due = due;
    c->touched = at;
    c->counted = measuring && (!option.rate || due >= begun);
    c->sent = 0;
    c->have = 0;
    c->in_body = 0;
    c->state = WAITING;
    in_flight++;
    if (option.keys) { /* the rest of one that is sent in pieces may get another's number */
        uint64_t left = issued % (uint64_t)option.keys;
        for (int i = 5; i >= 0; i--, left /= 10)
            number[i] = (char)('0' + left % 10);
    }
    issued++;
    push(c);
}

/* Sends what may be sent now: everything on rest in a closed loop, what fell due in an open one. */
static void issue_all(uint64_t at)
{
    while (idle_count && !finished) {
        uint64_t due = at;
        if (option.rate) {
            due = first_due + (uint64_t)((double)next_due_index * (double)SECOND / option.rate);
            if (due > at || due >= ends)
                return;
            next_due_index++;
        } else if ((option.requests && issued >= option.requests) || (option.hold && in_flight >= HOLD_PACE)) {
            return;
        }
        struct conn *c = &conns[idle[idle_first]];
        idle_first = (idle_first + 1) % option.connections;
        idle_count--;
        issue(c, due, at);
    }
}

static void complete(struct conn *c, uint64_t at)
{
    in_flight--;
    completed++;
    if (c->counted && (option.rate || !finished))
        histogram_add(&latency, at - c->due);
    if (option.status && c->status != option.status)
        fail(BAD_STATUS);
    else if (option.length != UINT64_MAX && c->body.received != option.length)
        fail(BAD_LENGTH);
    if (option.close) {
        c->state = CLOSING;
    } else if (c->last) {
        disconnect(c);
        reconnects++;
        if (!finished)
            connect_to_target(c);
    } else {
        rest(c);
    }
}

/* Takes a head, once it is whole; returns the bytes of `data` that belonged to it, or -1. */
static ssize_t take_head(struct conn *c, const char *data, size_t size)
{
    const char *head = data;
    size_t whole = c->have ? 0 : head_length(data, size), before = c->have;
    if (!whole) { /* in pieces: gather it */
        size_t room = HEAD_MAX - c->have, take = size < room ? size : room;
        memcpy(c->head + c->have, data, take);
        c->have += take;
        head = c->head;
        whole = head_length(c->head, c->have);
        if (!whole)
            return take < size ? -1 : (ssize_t)size;
    }
    if (whole < 14 || memcmp(head, "HTTP/1.", 7))
        return -1;
    c->status = atoi(head + 9);
    c->have = 0;
    if (c->status / 100 == 1)
        return (ssize_t)(whole - before);
    c->last = field_is(head, whole, "connection", "close");
    body_begin(&c->body, head, whole);
    if (c->body.framing == NO_BODY && c->status != 204 && c->status != 304)
        return -1;
    c->in_body = 1;
    return (ssize_t)(whole - before);
}

static void take(struct conn *c, const char *data, size_t size)
{
    while (c->state == WAITING || c->state == SENDING) {
        ssize_t used;
        if (!c->in_body) {
            if (!size)
                return;
            used = take_head(c, data, size);
        } else {
            if (option.content && c->body.framing == BY_LENGTH &&
                (c->body.received + size > option.length ||
                 memcmp(data, option.content + c->body.received, size))) {
                fail(BAD_CONTENT);
                size = size < c->body.left ? size : (size_t)c->body.left;
            }
            used = body_feed(&c->body, data, size);
        }
        if (used < 0) {
            lose(c, BAD_MESSAGE);
            return;
        }
        data += used;
        size -= (size_t)used;
        if (c->in_body && body_done(&c->body)) {
            if (size)
                lose(c, BAD_MESSAGE);
            else
                complete(c, now());
            return;
        }
        if (!size)
            return;
    }
}

static void receive(struct conn *c)
{
    /* MSG_TRUNC discards without copying (tcp(7)): a long body is counted, not looked at. */
    int discard = c->in_body && c->body.framing == BY_LENGTH && !option.content;
    size_t size = discard && c->body.left < 1 << 20 ? (size_t)c->body.left : 1 << 20;
    ssize_t got = discard ? recv(c->fd, NULL, size, MSG_TRUNC) : recv(c->fd, scratch, SCRATCH, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        if (c->state == CLOSING || c->state == IDLE) { /* after an answer the server may close */
            if (c->state == IDLE) {
                unrest(c);
                reconnects++;
            }
            disconnect(c);
            if (!finished)
                connect_to_target(c);
        } else {
            lose(c, CLOSED);
        }
        return;
    }
    c->touched = now();
    if (c->state == IDLE || c->state == CLOSING) {
        lose(c, BAD_MESSAGE);
    } else if (discard) {
        body_feed(&c->body, NULL, (size_t)got);
        if (body_done(&c->body))
            complete(c, now());
    } else {
        take(c, scratch, (size_t)got);
    }
}

static void handle(struct conn *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            lose(c, NOT_CONNECTED);
            return;
        }
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
        rest(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(c);
    if (events & EPOLLOUT && c->state == SENDING)
        push(c);
}

static void sweep(uint64_t at)
{
    for (int i = 0; i < option.connections; i++) {
        struct conn *c = &conns[i];
        if (c->state == DOWN && !finished)
            connect_to_target(c);
        else if (c->state != IDLE && c->state != DOWN && at > c->touched + (uint64_t)(option.timeout * SECOND))
            lose(c, TIMED_OUT);
    }
}

/* One turn: waits until `until` at most. */
static void turn(uint64_t until)
{
    static uint64_t swept;
    struct epoll_event events[EVENTS];
    uint64_t at = now(), wake = at + SECOND / 10;
    if (option.rate && idle_count && !finished) {
        uint64_t due = first_due + (uint64_t)((double)next_due_index * (double)SECOND / option.rate);
        wake = due < wake ? due : wake;
    }
    wake = wake < until ? wake : until;
    uint64_t wait = wake > at ? wake - at : 0;
    struct timespec timeout = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
    int count = epoll_pwait2(epfd, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr, events[i].events);
    at = now();
    issue_all(at);
    if (at > swept + SECOND / 10) {
        swept = at;
        sweep(at);
    }
}

static uint64_t cpu_of_pids(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < option.pid_count; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(option.pids[i], &clock) == 0)
            sum += clock_now(clock);
    }
    return sum;
}

/* Ticks of the core so far: all of them, and those it was idle (proc(5), /proc/stat). */
static void core_ticks(uint64_t *all, uint64_t *rest_of)
{
    char line[512], name[16];
    unsigned long long t[8] = {0};
    FILE *stat = fopen("/proc/stat", "r");
    *all = *rest_of = 0;
    if (!stat || option.core < 0)
        return;
    snprintf(name, sizeof name, "cpu%d ", option.core);
    while (fgets(line, sizeof line, stat))
        if (!strncmp(line, name, strlen(name)))
            sscanf(line + strlen(name), "%llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4],
                   &t[5], &t[6], &t[7]);
    fclose(stat);
    for (int i = 0; i < 8; i++)
        *all += t[i];
    *rest_of = t[3] + t[4];
}

static void report(double seconds, uint64_t answered, uint64_t cpu, uint64_t own, double busy)
{
    printf("{\"answered\":%llu,\"recorded\":%llu,\"seconds\":%.6f,\"rate\":%.1f,\"offered\":%.1f,\"unsent\":%llu,"
           "\"unfinished\":%llu,\"reconnects\":%llu,\"failures\":%llu,\"failure\":{",
           (unsigned long long)answered, (unsigned long long)latency.count, seconds, (double)answered / seconds,
           option.rate, (unsigned long long)unsent,
           (unsigned long long)unfinished, (unsigned long long)reconnects, (unsigned long long)total_failures);
    for (int i = 0; i < FAILURES; i++)
        printf("%s\"%s\":%llu", i ? "," : "", FAILURE_NAMES[i], (unsigned long long)failures[i]);
    printf("},\"gave_up\":%s,\"latency_us\":{\"mean\":%.1f", total_failures >= GIVE_UP ? "true" : "false",
           latency.count ? latency.sum / (double)latency.count / 1e3 : 0.0);
    static const struct { const char *name; double share; } shares[] = {
        {"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}, {"max", 1}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        printf(",\"%s\":%.1f", shares[i].name, (double)histogram_percentile(&latency, shares[i].share) / 1e3);
    printf("},\"cpu_ns\":%llu,\"core_busy\":%.4f,\"own_cpu_ns\":%llu}\n", (unsigned long long)cpu, busy,
           (unsigned long long)own);
    fflush(stdout);
}

/* Requests that fell due and were never sent, or never answered, waited at least until now: they count so. */
static void charge_the_late(void)
{
    uint64_t at = now();
    for (int i = 0; i < option.connections; i++) {
        if ((conns[i].state == WAITING || conns[i].state == SENDING) && conns[i].counted) {
            histogram_add(&latency, at - conns[i].due);
            unfinished++;
        }
    }
    for (;; next_due_index++) {
        uint64_t due = first_due + (uint64_t)((double)next_due_index * (double)SECOND / option.rate);
        if (due >= ends)
            return;
        if (due < begun)
            continue;
        histogram_add(&latency, at - due);
        unsent++;
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    parse_options(argc, argv);
    build_request();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1);
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)option.port);
    if (inet_pton(AF_INET, option.host, &target.sin_addr) != 1)
        usage();
    epfd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)option.connections, sizeof *conns);
    idle = calloc((size_t)option.connections, sizeof *idle);
    if (epfd < 0 || !conns || !idle)
        die("start");

    uint64_t all[2], resting[2], cpu;
    first_due = now() + SECOND / 100;
    begun = first_due + (uint64_t)(option.warm * SECOND);
    ends = begun + (uint64_t)(option.seconds * SECOND);
    measuring = option.rate > 0 || option.requests;
    for (int i = 0; i < option.connections; i++)
        connect_to_target(&conns[i]);
    if (!option.requests) {
        while (!finished && now() < begun)
            turn(begun);
    } else {
        begun = now();
        ends = UINT64_MAX;
    }
    measuring = 1;
    core_ticks(&all[0], &resting[0]);
    cpu = cpu_of_pids();
    uint64_t own = clock_now(CLOCK_PROCESS_CPUTIME_ID), started = now(), before = completed;
    while (!finished && (option.requests ? completed + lost < option.requests : now() < ends))
        turn(ends);
    uint64_t stopped = now(), answered = completed - before;
    cpu = cpu_of_pids() - cpu;
    own = clock_now(CLOCK_PROCESS_CPUTIME_ID) - own;
    core_ticks(&all[1], &resting[1]);
    if (option.hold) {
        char byte;
        printf("{\"held\":%d,\"failures\":%llu}\n", option.connections, (unsigned long long)total_failures);
        fflush(stdout);
        while (read(0, &byte, 1) > 0)
            ;
        return total_failures != 0;
    }
    finished = 1; /* nothing more is sent; what is under way gets a second to end well */
    for (uint64_t limit = now() + SECOND; in_flight && now() < limit;)
        turn(limit);
    if (option.rate)
        charge_the_late();
    report((double)(stopped - started) / SECOND, answered, cpu, own,
           all[1] > all[0] ? 1 - (double)(resting[1] - resting[0]) / (double)(all[1] - all[0]) : 0);
    return total_failures != 0;
}
