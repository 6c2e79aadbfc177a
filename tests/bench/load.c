/* load [OPTION...] URL BODY-FILE : posts the file again and again, over HTTPS
 *
 *   -n N         how often (1000), after -w N (0) that don't count
 *   -c N         on so many connections at once (1)
 *   -f           a connection, and so a TLS handshake, each: nothing is resumed
 *   -a FILE      the certificate authority
 *   -p FILE      the client's certificate, with -k FILE, its key
 *   -e TEXT      what every answer must hold
 *
 * Every answer must be 200 or 201. Prints how long it took: {"seconds":S,"p50_ms":M,"p99_ms":M}. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/parse.h"

#define CONNECTIONS_MAX 4096
#define COUNT_MAX 10000000
#define BODY_MAX (16u << 20)

struct load {
    const char *url, *ca, *cert, *key, *expected;
    uint64_t count, warm, connections;
    bool fresh;
    struct buf body;
    struct curl_slist *headers;
    atomic_ullong next; /* the next request, the warm ones first */
    double *took;       /* of each that counts, in ms */
    atomic_llong began; /* when the first that counts was sent, in ns */
};

static void fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    _exit(1); /* from any thread */
}

static long long now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static size_t keep(char *bytes, size_t size, size_t n, void *to)
{
    buf_add(to, bytes, size * n);
    return buf_error(to) ? 0 : size * n;
}

static CURL *client_of(const struct load *load, struct buf *answer)
{
    CURL *client = curl_easy_init();

    if (!client)
        fail("out of memory");
    curl_easy_setopt(client, CURLOPT_URL, load->url);
    curl_easy_setopt(client, CURLOPT_POSTFIELDS, load->body.data);
    curl_easy_setopt(client, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)load->body.len);
    curl_easy_setopt(client, CURLOPT_HTTPHEADER, load->headers);
    curl_easy_setopt(client, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(client, CURLOPT_CAINFO, load->ca);
    curl_easy_setopt(client, CURLOPT_SSLCERT, load->cert);
    curl_easy_setopt(client, CURLOPT_SSLKEY, load->key);
    curl_easy_setopt(client, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(client, CURLOPT_FORBID_REUSE, (long)load->fresh);
    curl_easy_setopt(client, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(client, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(client, CURLOPT_WRITEDATA, answer);
    return client;
}

static double post(const struct load *load, CURL *client, struct buf *answer)
{
    long long began = now_ns();
    CURLcode r;
    long status = 0;

    buf_reset(answer);
    r = curl_easy_perform(client);
    if (r != CURLE_OK)
        fail(curl_easy_strerror(r));
    curl_easy_getinfo(client, CURLINFO_RESPONSE_CODE, &status);
    if ((status != 200 && status != 201) ||
        (load->expected && !strstr(answer->data, load->expected)))
        fail(answer->data);
    return (double)(now_ns() - began) / 1e6;
}

static void *work(void *data)
{
    struct load *load = data;
    struct buf answer = BUF_INIT(BODY_MAX);
    CURL *client = client_of(load, &answer);

    for (;;) {
        unsigned long long i = atomic_fetch_add(&load->next, 1);
        double took;

        if (i >= load->warm + load->count)
            break;
        if (i == load->warm)
            atomic_store(&load->began, now_ns());
        took = post(load, client, &answer);
        if (i >= load->warm)
            load->took[i - load->warm] = took;
    }
    curl_easy_cleanup(client);
    buf_done(&answer);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void run(struct load *load)
{
    pthread_t threads[CONNECTIONS_MAX];
    double seconds;

    for (uint64_t i = 0; i < load->connections; i++)
        if (pthread_create(&threads[i], NULL, work, load) != 0)
            fail("cannot start a thread");
    for (uint64_t i = 0; i < load->connections; i++)
        pthread_join(threads[i], NULL);
    seconds = (double)(now_ns() - atomic_load(&load->began)) / 1e9;
    qsort(load->took, load->count, sizeof *load->took, by_size);
    printf("{\"seconds\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", seconds,
           load->took[load->count / 2], load->took[load->count * 99 / 100]);
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t value;

    if (parse_u64(text, max, &value) < 0)
        fail("not a number, or too large");
    return value;
}

int main(int argc, char **argv)
{
    static struct load load = {.count = 1000, .connections = 1, .body = {0}};
    struct error err = ERROR_INIT;
    int c;

    load.body = BUF_INIT(BODY_MAX);
    while ((c = getopt(argc, argv, "n:w:c:fa:p:k:e:")) != -1) {
        if (c == 'n')
            load.count = number(optarg, COUNT_MAX);
        else if (c == 'w')
            load.warm = number(optarg, COUNT_MAX);
        else if (c == 'c')
            load.connections = number(optarg, CONNECTIONS_MAX);
        else if (c == 'f')
            load.fresh = true;
        else if (c == 'a')
            load.ca = optarg;
        else if (c == 'p')
            load.cert = optarg;
        else if (c == 'k')
            load.key = optarg;
        else if (c == 'e')
            load.expected = optarg;
        else
            return 2;
    }
    if (argc - optind != 2 || load.count == 0 || load.connections == 0)
        fail("usage: load [-n N] [-w N] [-c N] [-f] [-a CA] [-p CERT -k KEY] [-e TEXT] URL BODY");
    load.url = argv[optind];
    if (file_read(argv[optind + 1], &load.body, &err) < 0)
        fail(err.msg);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    load.headers = curl_slist_append(NULL, "Content-Type: application/json");
    load.headers = curl_slist_append(load.headers, "Expect:");
    load.took = calloc(load.count, sizeof *load.took);
    if (!load.headers || !load.took)
        fail("out of memory");
    run(&load);
    return 0;
}
