/* The load generator's command line, and the request that follows from it. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { PIDS = 512, HEADERS = 8 };

static struct {
    const char *host, *path, *content;
    int port, connections, status, chunked, close, hold;
    double seconds, warm, rate, timeout;
    uint64_t requests, length, post;
    const char *headers[HEADERS];
    int header_count;
    int core, pid_count, keys;
    pid_t pids[PIDS];
} option = {.host = "127.0.0.1", .path = "/small", .connections = 64, .status = 200, .seconds = 1, .timeout = 10,
            .length = UINT64_MAX, .core = -1};

static char *request, *number;
static size_t request_size;

static const char AUTHORIZATION[] =
    "Authorization: Bearer 7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26";

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void build_request(void)
{
    static const char FORMAT[] =
        "%s %s HTTP/1.1\r\n"
        "Host: api.example.com\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: application/json\r\n"
        "Accept-Language: en-GB,en;q=0.7\r\n"
        "%s%s"
        "Cookie: session=3c9909afec25354d551dae21590bb26e38d53f2173b8d3dc3eee4c047e7ab1c1\r\n"
        "%s%s\r\n";
    char framing[128] = "";
    uint64_t half = option.post / 2;
    if (option.post && option.chunked)
        strcpy(framing, "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n");
    else if (option.post)
        snprintf(framing, sizeof framing, "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n",
                 (unsigned long long)option.post);
    /* Further fields stand before the framing; an Authorization takes the place of the usual one, which an empty
     * one leaves out. */
    const char *authorization = AUTHORIZATION;
    size_t size = 1;
    for (int i = 0; i < option.header_count; i++)
        size += strlen(option.headers[i]) + 2;
    char *further = calloc(size, 1);
    request = malloc(sizeof FORMAT + sizeof AUTHORIZATION + strlen(option.path) + size + sizeof framing + option.post
                     + 256);
    if (!request || !further)
        die("malloc");
    for (int i = 0; i < option.header_count; i++)
        if (!strncmp(option.headers[i], "Authorization: ", 15))
            authorization = option.headers[i][15] ? option.headers[i] : "";
        else
            strcat(strcat(further, option.headers[i]), "\r\n");
    if (option.close)
        strcpy(framing + strlen(framing), "Connection: close\r\n");
    request_size = (size_t)sprintf(request, FORMAT, option.post ? "POST" : "GET", option.path, authorization,
                                   *authorization ? "\r\n" : "", further, framing);
    free(further);
    if (option.keys && !(number = strstr(request, "######"))) {
        fputs("load: --keys, and no ###### in a header\n", stderr);
        exit(2);
    }
    uint64_t parts[2] = {half, option.post - half};
    for (int i = 0; option.post && i < 2; i++) {
        if (option.chunked)
            request_size += (size_t)sprintf(request + request_size, "%llx\r\n", (unsigned long long)parts[i]);
        memset(request + request_size, 'x', parts[i]);
        request_size += parts[i];
        if (option.chunked)
            request_size += (size_t)sprintf(request + request_size, i ? "\r\n0\r\n\r\n" : "\r\n");
    }
}

static void usage(void)
{
    fputs("usage: load --port N [--host A] [--path P] [--connections N] [--seconds S | --requests N] [--warm S]\n"
          "            [--rate R] [--post BYTES [--chunked]] [--close] [--expect-status N] [--expect-length N]\n"
          "            [--expect-body TEXT] [--timeout S] [--pids P,P...] [--core N] [--hold]\n"
          "            [--header 'NAME: VALUE']... [--keys N]\n"
          "--expect-status 0: any\n"
          "--keys: the six # of a header are the number of the request, modulo N, in decimal\n"
          "--hold: one request on every connection, a few at a time, then all rest until standard input ends\n",
          stderr);
    exit(2);
}

static void parse_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"host", 1, 0, 'h'},     {"port", 1, 0, 'p'},    {"path", 1, 0, 'u'},          {"connections", 1, 0, 'c'},
        {"seconds", 1, 0, 's'},  {"requests", 1, 0, 'n'}, {"warm", 1, 0, 'w'},         {"rate", 1, 0, 'r'},
        {"post", 1, 0, 'b'},     {"chunked", 0, 0, 'k'}, {"close", 0, 0, 'x'},         {"expect-status", 1, 0, 'S'},
        {"expect-length", 1, 0, 'L'}, {"expect-body", 1, 0, 'B'}, {"timeout", 1, 0, 't'}, {"pids", 1, 0, 'P'},
        {"core", 1, 0, 'C'},     {"hold", 0, 0, 'H'},    {"header", 1, 0, 'a'},
        {"keys", 1, 0, 'K'},     {0, 0, 0, 0},
    };
    int key;
    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (key) {
        case 'h': option.host = optarg; break;
        case 'p': option.port = atoi(optarg); break;
        case 'u': option.path = optarg; break;
        case 'c': option.connections = atoi(optarg); break;
        case 's': option.seconds = atof(optarg); break;
        case 'n': option.requests = strtoull(optarg, NULL, 10); break;
        case 'w': option.warm = atof(optarg); break;
        case 'r': option.rate = atof(optarg); break;
        case 'b': option.post = strtoull(optarg, NULL, 10); break;
        case 'k': option.chunked = 1; break;
        case 'x': option.close = 1; break;
        case 'S': option.status = atoi(optarg); break;
        case 'L': option.length = strtoull(optarg, NULL, 10); break;
        case 'B': option.content = optarg; option.length = strlen(optarg); break;
        case 't': option.timeout = atof(optarg); break;
        case 'C': option.core = atoi(optarg); break;
        case 'H': option.hold = 1; break;
        case 'K': option.keys = atoi(optarg); break;
        case 'a':
            if (option.header_count == HEADERS)
                usage();
            option.headers[option.header_count++] = optarg;
            break;
        case 'P':
            for (char *p = strtok(optarg, ","); p && option.pid_count < PIDS; p = strtok(NULL, ","))
                option.pids[option.pid_count++] = atoi(p);
            break;
        default: usage();
        }
    }
    if (!option.port || option.connections < 1 || optind != argc || option.seconds <= 0 || option.rate < 0)
        usage();
    if (option.hold)
        option.requests = (uint64_t)option.connections;
}

#endif
