/* lib/kube's client and informer against a server on loopback that says what the test tells it to,
 * byte for byte: what no well-behaved API server can be made to say on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/client.h"
#include "kube/watch.h"

#define REQUEST_MAX 8192
#define SILENCE "" /* a reply that never comes */
#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define JSON(status, body) HEAD(status) "Content-Type: application/json\r\n\r\n" body
#define CHUNKED HEAD("200 OK") "Transfer-Encoding: chunked\r\n\r\n"

/* ---- A scripted server ---------------------------------------------------------------------- */

struct exchange {
    const char *expect; /* must be in the request's head */
    const char *reply;  /* NULL ends the script */
};

struct server {
    uv_tcp_t listener;
    const struct exchange *next;
    int connections; /* open ones */
};

struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    struct server *server;
    char request[REQUEST_MAX + 1];
    size_t len;
};

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    peer->server->connections--;
    free(peer);
}

static void close_peer(struct peer *peer)
{
    if (!uv_is_closing((uv_handle_t *)&peer->tcp))
        uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
}

static void on_sent(uv_write_t *write, int status)
{
    (void)status;
    close_peer(write->data);
}

static void reply(struct peer *peer)
{
    struct server *server = peer->server;
    const struct exchange *exchange = server->next;
    uv_buf_t buf;

    if (!exchange->reply)
        return; /* the script is over: silence */
    if (!strstr(peer->request, exchange->expect))
        fail_msg("expected %s in\n%s", exchange->expect, peer->request);
    server->next++;
    if (strcmp(exchange->reply, SILENCE) == 0)
        return;
    buf = uv_buf_init((char *)exchange->reply, (unsigned)strlen(exchange->reply));
    peer->write.data = peer;
    uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &buf, 1, on_sent);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct peer *peer = handle->data;

    (void)suggested;
    *buf = uv_buf_init(peer->request + peer->len, (unsigned)(REQUEST_MAX - peer->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *peer = stream->data;

    (void)buf;
    if (n < 0) {
        close_peer(peer);
        return;
    }
    peer->len += (size_t)n;
    peer->request[peer->len] = '\0';
    if (strstr(peer->request, "\r\n\r\n"))
        reply(peer);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct peer *peer = calloc(1, sizeof *peer);

    assert_int_equal(status, 0);
    peer->server = server;
    peer->tcp.data = peer;
    server->connections++;
    uv_tcp_init(listener->loop, &peer->tcp);
    uv_accept(listener, (uv_stream_t *)&peer->tcp);
    uv_read_start((uv_stream_t *)&peer->tcp, give_room, on_read);
}

/* ---- One test's world ----------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    struct server server;
    struct kube_client *client;
    uv_timer_t alarm; /* a test that waits for too long fails */
};

static void on_alarm(uv_timer_t *alarm)
{
    (void)alarm;
    fail_msg("the test waits for something that does not come");
}

static void world_init(struct world *world, const struct exchange *script)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    struct sockaddr_in at = {0};
    int len = sizeof at;
    struct error err = ERROR_INIT;

    memset(world, 0, sizeof *world);
    uv_loop_init(&world->loop);
    uv_tcp_init(&world->loop, &world->server.listener);
    world->server.listener.data = &world->server;
    world->server.next = script;
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_bind(&world->server.listener, (struct sockaddr *)&at, 0);
    uv_listen((uv_stream_t *)&world->server.listener, 16, on_connection);
    uv_tcp_getsockname(&world->server.listener, (struct sockaddr *)&at, &len);
    uv_timer_init(&world->loop, &world->alarm);
    uv_timer_start(&world->alarm, on_alarm, 20000, 0);
    assert_true(asprintf(&config.server, "http://127.0.0.1:%d", ntohs(at.sin_port)) > 0);
    buf_adds(&config.token, "a-token");
    assert_int_equal(kube_client_new(&world->loop, &config, &world->client, &err), 0);
}

static void world_done(struct world *world)
{
    kube_client_free(world->client);
    uv_close((uv_handle_t *)&world->server.listener, NULL);
    uv_close((uv_handle_t *)&world->alarm, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->server.connections, 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

/* ---- Requests ------------------------------------------------------------------------------- */

struct answer {
    int n;
    int status;
    struct error err;
    char reason[64];
    char body[256];
};

static void take_answer(void *data, const struct kube_response *response)
{
    struct answer *answer = data;

    answer->n++;
    answer->status = response->status;
    answer->err = response->err;
    snprintf(answer->reason, sizeof answer->reason, "%s", response->reason);
    snprintf(answer->body, sizeof answer->body, "%s", response->body);
}

static struct answer ask(const struct exchange *script, size_t max_response, uint64_t timeout_ms)
{
    struct answer answer = {0};
    struct kube_request_spec spec = {.method = "GET",
                                     .path = "/x",
                                     .max_response = max_response,
                                     .timeout_ms = timeout_ms,
                                     .done = take_answer,
                                     .data = &answer};
    struct world world;

    world_init(&world, script);
    assert_non_null(kube_request_start(world.client, &spec, NULL));
    assert_int_equal(answer.n, 0); /* never at once */
    while (!answer.n)
        uv_run(&world.loop, UV_RUN_ONCE);
    assert_null(world.server.next->reply); /* the whole script was played */
    world_done(&world);
    assert_int_equal(answer.n, 1);
    return answer;
}

static void an_answer_is_given_and_the_token_sent(void **state)
{
    static const struct exchange script[] = {
        {"Authorization: Bearer a-token\r\n", JSON("200 OK", "{\"a\":1}")}, {0}};
    struct answer answer = ask(script, 0, 0);

    (void)state;
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.err.code, 0);
    assert_string_equal(answer.body, "{\"a\":1}");
}

static void a_refusal_is_told_in_the_servers_words(void **state)
{
    static const struct exchange script[] = {
        {"GET /x ",
         JSON("409 Conflict", "{\"kind\":\"Status\",\"message\":\"it is there\",\"reason\":"
                              "\"AlreadyExists\",\"code\":409}")},
        {0}};
    struct answer answer = ask(script, 0, 0);

    (void)state;
    assert_int_equal(answer.err.code, -EEXIST);
    assert_string_equal(answer.reason, "AlreadyExists");
    assert_string_equal(answer.err.msg, "GET /x: it is there (HTTP 409)");
}

static void a_server_that_asks_to_wait_is_asked_again(void **state)
{
    static const struct exchange script[] = {
        {"GET /x ", HEAD("429 Too Many Requests") "Retry-After: 1\r\n\r\n"},
        {"GET /x ", JSON("200 OK", "{}")},
        {0}};

    (void)state;
    assert_int_equal(ask(script, 0, 0).status, 200);
}

static void a_wait_that_the_request_has_no_time_for_is_not_waited(void **state)
{
    static const struct exchange script[] = {
        {"GET /x ", HEAD("429 Too Many Requests") "Retry-After: 20\r\n\r\n"}, {0}};
    struct answer answer = ask(script, 0, 2000);

    (void)state;
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.err.code, -EAGAIN);
}

static void an_answer_past_its_cap_is_an_error(void **state)
{
    static const struct exchange script[] = {{"GET /x ", JSON("200 OK", "{\"a\":\"0123456789\"}")},
                                             {0}};
    struct answer answer = ask(script, 10, 0);

    (void)state;
    assert_int_equal(answer.err.code, -E2BIG);
    assert_string_equal(answer.body, "");
}

static void a_silent_server_costs_the_time_out_and_no_more(void **state)
{
    static const struct exchange script[] = {{"GET /x ", SILENCE}, {0}};

    (void)state;
    assert_int_equal(ask(script, 0, 200).err.code, -ETIMEDOUT);
}

static void a_body_that_is_cut_is_an_error(void **state)
{
    static const struct exchange script[] = {
        {"GET /x ", HEAD("200 OK") "Content-Length: 100\r\n\r\n{\"a\":1}"}, {0}};

    (void)state;
    assert_int_equal(ask(script, 0, 0).err.code, -ECONNRESET);
}

static void a_redirect_is_not_followed(void **state)
{
    static const struct exchange script[] = {
        {"GET /x ", HEAD("302 Found") "Location: http://127.0.0.1:1/\r\n\r\n"}, {0}};

    (void)state;
    assert_int_equal(ask(script, 0, 0).status, 302);
}

/* ---- The informer --------------------------------------------------------------------------- */

/* An item, and an event of it as one line and one chunk (of less than 256 bytes). */
#define ITEM(name, version)                                                                        \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define LIST(version, next, items)                                                                 \
    JSON("200 OK", "{\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next       \
                   "\"},\"items\":[" items "]}")
#define STREAM HEAD("200 OK") "\r\n"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" ITEM(name, version) "}\n"

#define STREAM_END(version)                                                                        \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version              \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
/* The answer of a server that has no streaming lists. */
#define PAGES                                                                                      \
    {                                                                                              \
        "sendInitialEvents=true",                                                                  \
            JSON("422 Unprocessable Entity", "{\"kind\":\"Status\",\"message\":\"forbidden\"}")    \
    }

struct story {
    struct buf text;
};

static void tell(void *data, enum kube_change change, const char *ns, const char *name, void *kept)
{
    static const char signs[] = {[KUBE_ADDED] = '+', [KUBE_MODIFIED] = '~', [KUBE_DELETED] = '-'};
    struct story *story = data;

    assert_string_equal(ns, "");
    assert_non_null(kept);
    buf_addf(&story->text, "%c%s ", signs[change], name);
}

static void tell_synced(void *data)
{
    struct story *story = data;

    buf_adds(&story->text, "synced ");
}

/* Plays the script to its end and compares what the watch told. */
static void watch(const struct exchange *script, const char *expected)
{
    struct story story = {BUF_INIT(1000)};
    struct kube_watch_spec spec = {
        .resource = &kube_namespaces, .changed = tell, .synced = tell_synced, .data = &story};
    struct kube_watch *informer;
    struct world world;

    world_init(&world, script);
    assert_int_equal(kube_watch_start(world.client, &spec, NULL, &informer, NULL), 0);
    while (world.server.next->reply || strlen(story.text.data) < strlen(expected))
        uv_run(&world.loop, UV_RUN_ONCE);
    assert_string_equal(story.text.data, expected);
    kube_watch_stop(informer);
    world_done(&world);
    buf_done(&story.text);
}

static void a_list_comes_in_pages_and_the_watch_goes_on_from_its_version(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"GET /api/v1/namespaces?limit=500 ", LIST("5", "a+b/c=", ITEM("a", "1"))},
        {"?limit=500&continue=a%2Bb%2Fc%3D ", LIST("5", "", ITEM("b", "2"))},
        {"resourceVersion=5&",
         STREAM EVENT("ADDED", "c", "6") EVENT("MODIFIED", "a", "7") EVENT("DELETED", "b", "8")},
        {"resourceVersion=8&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a +b synced +c ~a -b ");
}

static void a_watch_that_is_cut_goes_on_from_the_last_whole_event(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit", LIST("5", "", ITEM("a", "1"))},
        /* A chunk whose length was announced, in the middle of an object. */
        {"resourceVersion=5&", CHUNKED "90\r\n" EVENT("ADDED", "b", "6") "{\"type\":\"MODIFIED\","},
        {"resourceVersion=6&", STREAM EVENT("BOOKMARK", "", "9")},
        {"resourceVersion=9&", HEAD("503 Service Unavailable") "\r\n"},
        PAGES,
        {"?limit", LIST("10", "", ITEM("a", "1"))},
        {"resourceVersion=10&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a synced +b ~a -b ");
}

static void what_is_gone_is_listed_anew_and_the_difference_told(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit", LIST("5", "", ITEM("a", "1") "," ITEM("b", "2"))},
        {"resourceVersion=5&",
         STREAM "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
                "\"reason\":\"Expired\",\"message\":\"too old\"}}\n"},
        PAGES,
        {"?limit", LIST("20", "", ITEM("b", "2") "," ITEM("c", "15"))},
        {"resourceVersion=20&",
         JSON("410 Gone", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}")},
        PAGES,
        {"?limit", LIST("30", "", ITEM("c", "15"))},
        {"resourceVersion=30&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a +b synced ~b +c -a ~c -b ");
}

static void a_list_that_is_cut_or_no_list_changes_nothing(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit", HEAD("200 OK") "Content-Length: 1000\r\n\r\n{\"metadata\":"},
        PAGES,
        {"?limit", JSON("200 OK", "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[")},
        PAGES,
        {"?limit", JSON("200 OK", "[]")},
        PAGES,
        {"?limit", LIST("5", "", ITEM("a", "1"))},
        {"resourceVersion=5&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a synced ");
}

static void a_page_token_that_expired_starts_the_list_again(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit=500 ", LIST("5", "t", ITEM("a", "1"))},
        {"continue=t ", JSON("410 Gone", "{\"kind\":\"Status\",\"reason\":\"Expired\"}")},
        PAGES,
        {"?limit=500 ", LIST("6", "", ITEM("b", "2"))},
        {"resourceVersion=6&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a +b -a synced ");
}

static void nonsense_in_the_stream_leads_to_a_new_list(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit", LIST("5", "", "")},
        {"resourceVersion=5&", STREAM "{\"type\":\"ADDED\",\"object\":{}}\n"},
        PAGES,
        {"?limit", LIST("6", "", "")},
        {"resourceVersion=6&", STREAM "no json\n"},
        PAGES,
        {"?limit", LIST("7", "", "")},
        {"resourceVersion=7&", STREAM EVENT("SURPRISE", "a", "8")},
        PAGES,
        {"?limit", LIST("9", "", ITEM("a", "1"))},
        {"resourceVersion=9&", SILENCE},
        {0}};

    (void)state;
    watch(script, "synced +a ");
}

static void a_list_that_is_streamed_is_whole_when_its_end_is_told(void **state)
{
    static const struct exchange script[] = {
        {"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&",
         STREAM EVENT("ADDED", "a", "1") EVENT("ADDED", "b", "2") STREAM_END("5")
             EVENT("MODIFIED", "a", "6")},
        {"resourceVersion=6&", JSON("410 Gone", "{\"kind\":\"Status\",\"code\":410}")},
        {"sendInitialEvents=true", STREAM EVENT("ADDED", "a", "6") STREAM_END("9")},
        {"resourceVersion=9&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a +b synced ~a ~a -b ");
}

static void a_server_that_learns_to_stream_lists_is_asked_for_it_again(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit", LIST("5", "", ITEM("a", "1"))},
        {"resourceVersion=5&",
         JSON("410 Gone", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}")},
        {"sendInitialEvents=true", STREAM EVENT("ADDED", "b", "8") STREAM_END("9")},
        {"resourceVersion=9&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a synced +b -a ");
}

static void a_streamed_list_that_is_cut_is_none(void **state)
{
    static const struct exchange script[] = {
        {"sendInitialEvents=true", STREAM EVENT("ADDED", "a", "1") EVENT("BOOKMARK", "", "4")},
        {"sendInitialEvents=true", STREAM EVENT("ADDED", "b", "2") "{\"type\":"},
        {"sendInitialEvents=true", HEAD("500 Internal Server Error") "\r\n"},
        {"sendInitialEvents=true", STREAM EVENT("ADDED", "b", "2") STREAM_END("5")},
        {"resourceVersion=5&", SILENCE},
        {0}};

    (void)state;
    watch(script, "+a +b ~b -a synced ");
}

static void what_is_in_work_can_be_dropped(void **state)
{
    static const struct exchange script[] = {{"GET", SILENCE}, {0}};
    struct kube_watch_spec spec = {.resource = &kube_namespaces};
    struct kube_watch *informer;
    struct world world;

    (void)state;
    world_init(&world, script);
    assert_int_equal(kube_watch_start(world.client, &spec, NULL, &informer, NULL), 0);
    while (world.server.next->reply)
        uv_run(&world.loop, UV_RUN_ONCE);
    kube_watch_stop(informer);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_given_and_the_token_sent),
        cmocka_unit_test(a_refusal_is_told_in_the_servers_words),
        cmocka_unit_test(a_server_that_asks_to_wait_is_asked_again),
        cmocka_unit_test(a_wait_that_the_request_has_no_time_for_is_not_waited),
        cmocka_unit_test(an_answer_past_its_cap_is_an_error),
        cmocka_unit_test(a_silent_server_costs_the_time_out_and_no_more),
        cmocka_unit_test(a_body_that_is_cut_is_an_error),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(a_list_comes_in_pages_and_the_watch_goes_on_from_its_version),
        cmocka_unit_test(a_watch_that_is_cut_goes_on_from_the_last_whole_event),
        cmocka_unit_test(what_is_gone_is_listed_anew_and_the_difference_told),
        cmocka_unit_test(a_list_that_is_streamed_is_whole_when_its_end_is_told),
        cmocka_unit_test(a_server_that_learns_to_stream_lists_is_asked_for_it_again),
        cmocka_unit_test(a_streamed_list_that_is_cut_is_none),
        cmocka_unit_test(a_list_that_is_cut_or_no_list_changes_nothing),
        cmocka_unit_test(a_page_token_that_expired_starts_the_list_again),
        cmocka_unit_test(nonsense_in_the_stream_leads_to_a_new_list),
        cmocka_unit_test(what_is_in_work_can_be_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
