/* lib/kube's client against a server on loopback that says what the test tells it to,
 * byte for byte: what no well-behaved API server can be made to say on demand. */
#include "scripted_server.h"

#include <errno.h>

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

static void a_resource_that_the_server_has_not_got_is_told(void **state)
{
    static const struct exchange script[] = {
        {"GET /x ", HEAD("404 Not Found") "\r\n404 page not found\n"}, {0}};
    struct answer answer = ask(script, 0, 0);

    (void)state;
    assert_string_equal(answer.err.msg, "GET /x: the API server knows no such resource (HTTP 404)");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_given_and_the_token_sent),
        cmocka_unit_test(a_refusal_is_told_in_the_servers_words),
        cmocka_unit_test(a_resource_that_the_server_has_not_got_is_told),
        cmocka_unit_test(a_server_that_asks_to_wait_is_asked_again),
        cmocka_unit_test(a_wait_that_the_request_has_no_time_for_is_not_waited),
        cmocka_unit_test(an_answer_past_its_cap_is_an_error),
        cmocka_unit_test(a_silent_server_costs_the_time_out_and_no_more),
        cmocka_unit_test(a_body_that_is_cut_is_an_error),
        cmocka_unit_test(a_redirect_is_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
