/* One line tells of a whole fetch or push, and tells what really came of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "policy.h"
#include "serve/operation.h"

static void add(json_t *operation, const char *event)
{
    json_auto_t *parsed = json_loads(event, 0, NULL);

    assert_non_null(parsed);
    operation_add(operation, parsed);
}

/* What the events and the daemon's end come to. */
static void assert_result(const char *expected, int64_t exit_code, const char *const *events)
{
    json_auto_t *operation = operation_new();

    for (; *events; events++)
        add(operation, *events);
    operation_end(operation, exit_code, 1);
    assert_string_equal(operation_text(operation, "result"), expected);
}

#define EVENTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define REFRESHED(service)                                                                         \
    "{\"phase\":\"refresh\",\"service\":\"" service "\",\"result\":\"ok\",\"ms\":1}"
#define SCANNED(result) "{\"phase\":\"scan\",\"result\":\"" result "\",\"ms\":2}"
#define FORWARDED(result) "{\"phase\":\"forward\",\"result\":\"" result "\",\"ms\":3}"
#define FETCH REFRESHED("upload-pack")
#define PUSH REFRESHED("receive-pack")

static void a_fetch_is_as_good_as_its_end(void **state)
{
    (void)state;
    assert_result("ok", 0, EVENTS(FETCH));
    assert_result("failed", 128, EVENTS(FETCH));
    assert_result("unavailable", 1,
                  EVENTS("{\"phase\":\"refresh\",\"service\":\"upload-pack\","
                         "\"result\":\"unavailable\",\"ms\":1}"));
}

static void a_push_is_through_when_the_upstream_has_it(void **state)
{
    (void)state;
    assert_result("ok", 0, EVENTS(PUSH, SCANNED("ok"), FORWARDED("ok")));
    assert_result("partial", 0, EVENTS(PUSH, SCANNED("ok"), FORWARDED("partial")));
    assert_result("upstream", 0, EVENTS(PUSH, SCANNED("ok"), FORWARDED("upstream")));
    /* The client went away while the upstream took it. */
    assert_result("ok", 141, EVENTS(PUSH, SCANNED("ok"), FORWARDED("ok")));
}

static void a_push_that_was_stopped_says_by_whom(void **state)
{
    (void)state;
    assert_result("secret", 0, EVENTS(PUSH, SCANNED("secret")));
    assert_result("denied", 0, EVENTS(PUSH, SCANNED("denied")));
    assert_result("scan-failed", 0, EVENTS(PUSH, SCANNED("scan-failed")));
    /* Nobody said that the upstream has it. */
    assert_result("failed", 0, EVENTS(PUSH, SCANNED("ok")));
}

static void a_push_with_nothing_to_send_is_told_from_one_that_broke(void **state)
{
    (void)state;
    assert_result("nothing", 0, EVENTS(PUSH));
    assert_result("failed", 128, EVENTS(PUSH));
}

static void the_phases_times_stand_side_by_side(void **state)
{
    json_auto_t *operation = operation_new();
    const json_t *ms;

    (void)state;
    add(operation, PUSH);
    add(operation, SCANNED("ok"));
    add(operation, FORWARDED("ok"));
    operation_end(operation, 0, 9);
    ms = json_object_get(operation, "ms");
    assert_int_equal(json_number_value(json_object_get(ms, "refresh")), 1);
    assert_int_equal(json_number_value(json_object_get(ms, "scan")), 2);
    assert_int_equal(json_number_value(json_object_get(ms, "forward")), 3);
    assert_int_equal(json_number_value(json_object_get(ms, "total")), 9);
    assert_null(json_object_get(operation, "phase"));
    assert_null(json_object_get(operation, "session"));
}

static void a_kind_is_known_once_a_repository_was_reached(void **state)
{
    json_auto_t *operation = operation_new();

    (void)state;
    assert_int_equal(operation_kind(operation), OPERATION_NONE);
    add(operation, PUSH);
    assert_int_equal(operation_kind(operation), OPERATION_PUSH);
}

/* A push that names a thousand refs can't hide one of them, nor make a line that is too long. */
static void every_ref_of_a_push_is_listed_in_bounded_parts(void **state)
{
    cleanup_push struct push push = PUSH_INIT;
    size_t next = 0, listed = 0, parts = 0;
    char line[1200], quotes[601];
    json_t *list;

    (void)state;
    memset(quotes, '"', sizeof quotes - 1);
    quotes[200] = quotes[400] = '/';
    quotes[sizeof quotes - 1] = '\0';
    for (int i = 0; i < PUSH_COMMANDS_MAX; i++) {
        int len = snprintf(line, sizeof line, "%040d %040d refs/heads/%s%d", 0, 1, quotes, i);

        assert_int_equal(push_add(&push, line, (size_t)len, NULL), 0);
    }
    while ((list = push_list(&push, &next))) {
        char *text = json_dumps(list, JSON_COMPACT);

        assert_true(strlen(text) < 12000);
        listed += json_array_size(list);
        parts++;
        free(text);
        json_decref(list);
    }
    assert_int_equal(listed, PUSH_COMMANDS_MAX);
    assert_true(parts > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_is_as_good_as_its_end),
        cmocka_unit_test(a_push_is_through_when_the_upstream_has_it),
        cmocka_unit_test(a_push_that_was_stopped_says_by_whom),
        cmocka_unit_test(a_push_with_nothing_to_send_is_told_from_one_that_broke),
        cmocka_unit_test(the_phases_times_stand_side_by_side),
        cmocka_unit_test(a_kind_is_known_once_a_repository_was_reached),
        cmocka_unit_test(every_ref_of_a_push_is_listed_in_bounded_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
