/* lib/kube's informer against a server on loopback that says what the test tells it to,
 * byte for byte: what no well-behaved API server can be made to say on demand. */
#include "scripted_server.h"

#include "kube/watch.h"

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
        {"GET /api/v1/namespaces?limit=100 ", LIST("5", "a+b/c=", ITEM("a", "1"))},
        {"?limit=100&continue=a%2Bb%2Fc%3D ", LIST("5", "", ITEM("b", "2"))},
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
        {"?limit=100 ", LIST("5", "t", ITEM("a", "1"))},
        {"continue=t ", JSON("410 Gone", "{\"kind\":\"Status\",\"reason\":\"Expired\"}")},
        PAGES,
        {"?limit=100 ", LIST("6", "", ITEM("b", "2"))},
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
        cmocka_unit_test(a_list_comes_in_pages_and_the_watch_goes_on_from_its_version),
        cmocka_unit_test(a_watch_that_is_cut_goes_on_from_the_last_whole_event),
        cmocka_unit_test(what_is_gone_is_listed_anew_and_the_difference_told),
        cmocka_unit_test(a_list_that_is_cut_or_no_list_changes_nothing),
        cmocka_unit_test(a_page_token_that_expired_starts_the_list_again),
        cmocka_unit_test(nonsense_in_the_stream_leads_to_a_new_list),
        cmocka_unit_test(a_list_that_is_streamed_is_whole_when_its_end_is_told),
        cmocka_unit_test(a_server_that_learns_to_stream_lists_is_asked_for_it_again),
        cmocka_unit_test(a_streamed_list_that_is_cut_is_none),
        cmocka_unit_test(what_is_in_work_can_be_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
