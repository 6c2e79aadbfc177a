/* lib/kube's informer against a server on loopback that says what the test tells it to,
 * byte for byte: what no well-behaved API server can be made to say on demand. */
#include "scripted_server.h"

#include <errno.h>
#include <unistd.h>

#include "kube/decoder.h"
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

    assert_non_null(kept);
    buf_addf(&story->text, "%c%s%s%s ", signs[change], ns, *ns ? "/" : "", name);
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

/* ---- Objects that can't be read ----------------------------------------------------------- */

/* Twice the same member: what two readers may understand differently. */
#define UNREADABLE(name, version)                                                                  \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u\",\"resourceVersion\":\"" version            \
    "\"},\"spec\":{\"a\":1,\"a\":2}}"
#define READABLE(name, version)                                                                    \
    "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"},\"spec\":{}}"
#define EVENT_OF(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

/* Tells also what is known: "spec" or "nothing"; "refused" is in no form. */
static int keep(const struct node *object, struct buf *kept)
{
    if (node_is_text(node_get(node_get(object, "metadata"), "name"), "refused"))
        return -EBADMSG;
    buf_adds(kept, node_get(object, "spec") ? "spec" : "nothing");
    buf_addc(kept, '\0');
    return 0;
}

static void tell_known(void *data, enum kube_change change, const char *ns, const char *name,
                       void *kept)
{
    struct story *story = data;

    tell(data, change, ns, name, kept);
    buf_addf(&story->text, "(%s) ", (const char *)kept);
}

static void tell_unreadable(void *data, const struct kube_resource *resource)
{
    struct story *story = data;

    assert_ptr_equal(resource, &kube_gitgates);
    buf_adds(&story->text, "? ");
}

static size_t weight_of(const void *kept)
{
    return strcmp(kept, "spec") == 0;
}

static size_t namespace_max = SIZE_MAX;

/* Log lines go to a pipe: *lines is how many say so. */
static void watch_known(const struct exchange *script, const char *expected, const char *said,
                        size_t *lines)
{
    struct story story = {BUF_INIT(4000)};
    struct kube_watch_spec spec = {.resource = &kube_gitgates,
                                   .keep = keep,
                                   .changed = tell_known,
                                   .weight = weight_of,
                                   .namespace_max = namespace_max,
                                   .unreadable = tell_unreadable,
                                   .synced = tell_synced,
                                   .data = &story};
    static char text[16384];
    struct kube_watch *informer;
    struct world world;
    struct log log = {.program = "test", .min = LOG_INFO_};
    int ends[2];
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    log.fd = ends[1];
    world_init(&world, script);
    assert_int_equal(kube_watch_start(world.client, &spec, &log, &informer, NULL), 0);
    while (world.server.next->reply || strlen(story.text.data) < strlen(expected))
        uv_run(&world.loop, UV_RUN_ONCE);
    assert_string_equal(story.text.data, expected);
    kube_watch_stop(informer);
    world_done(&world);
    buf_done(&story.text);
    close(ends[1]);
    n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    text[n > 0 ? n : 0] = '\0';
    *lines = 0;
    for (const char *at = text; (at = strstr(at, said)); at++)
        (*lines)++;
}

static void an_object_that_cannot_be_read_stops_no_stream_and_is_named_once(void **state)
{
    static const struct exchange script[] = {
        {"sendInitialEvents=true",
         STREAM EVENT_OF("ADDED", READABLE("a", "1")) EVENT_OF("ADDED", UNREADABLE("b", "2"))
             STREAM_END("5") EVENT_OF("MODIFIED", UNREADABLE("b", "6"))
                 EVENT_OF("MODIFIED", UNREADABLE("a", "7"))},
        {"resourceVersion=7&",
         STREAM EVENT_OF("MODIFIED", READABLE("a", "8")) EVENT_OF("DELETED", UNREADABLE("b", "9"))},
        {"resourceVersion=9&", SILENCE},
        {0}};
    size_t lines;

    (void)state;
    watch_known(script,
                "+a (spec) ? +b (nothing) synced ? ~b (nothing) ? ~a (nothing) "
                "~a (spec) -b (nothing) ",
                "can't be read", &lines);
    assert_int_equal(lines, 2);
}

static void an_object_that_cannot_be_read_spoils_no_page(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit",
         LIST("5", "c", UNREADABLE("a", "1") "," READABLE("b", "2") "," UNREADABLE("c", "3"))},
        {"&continue=c", LIST("5", "", READABLE("d", "2"))},
        {"resourceVersion=5&", SILENCE},
        {0}};
    size_t lines;

    (void)state;
    watch_known(script, "? +a (nothing) +b (spec) ? +c (nothing) +d (spec) synced ",
                "can't be read", &lines);
    assert_int_equal(lines, 2);
}

static void what_can_be_kept_in_no_form_is_gone(void **state)
{
    static const struct exchange script[] = {
        {"sendInitialEvents=true", STREAM EVENT_OF("ADDED", READABLE("refused", "1"))
                                       EVENT_OF("ADDED", READABLE("b", "2")) STREAM_END("5")},
        {"resourceVersion=5&", SILENCE},
        {0}};
    size_t lines;

    (void)state;
    watch_known(script, "? +b (spec) synced ", "refused", &lines);
    assert_int_equal(lines, 1);
}

#define PLACED(ns, name, version)                                                                  \
    "{\"metadata\":{\"namespace\":\"" ns "\",\"name\":\"" name "\",\"resourceVersion\":\"" version \
    "\"},\"spec\":{}}"

static void a_namespace_has_its_share_and_takes_none_from_another(void **state)
{
    static const struct exchange script[] = {
        {"sendInitialEvents=true",
         STREAM EVENT_OF("ADDED", PLACED("x", "a", "1")) EVENT_OF("ADDED", PLACED("x", "b", "2"))
             EVENT_OF("ADDED", PLACED("x", "c", "3")) EVENT_OF("ADDED", PLACED("x", "d", "4"))
                 EVENT_OF("ADDED", PLACED("y", "a", "5")) STREAM_END("5")},
        {"resourceVersion=5&",
         STREAM EVENT_OF("MODIFIED", PLACED("x", "b", "6")) /* has its place */
         EVENT_OF("MODIFIED", PLACED("x", "c", "7"))        /* there is none yet */
         EVENT_OF("DELETED", PLACED("x", "a", "8"))         /* now there is */
         EVENT_OF("MODIFIED", PLACED("x", "d", "9"))},
        {"sendInitialEvents=true",
         STREAM EVENT_OF("ADDED", PLACED("x", "b", "6")) EVENT_OF("ADDED", PLACED("x", "c", "7"))
             EVENT_OF("ADDED", PLACED("x", "d", "9")) STREAM_END("10")}, /* y/a went */
        {"resourceVersion=10&", STREAM EVENT_OF("DELETED", PLACED("x", "b", "11"))},
        {"sendInitialEvents=true", STREAM EVENT_OF("ADDED", PLACED("x", "c", "7"))
                                       EVENT_OF("ADDED", PLACED("x", "d", "9")) STREAM_END("11")},
        {"resourceVersion=11&", STREAM EVENT_OF("DELETED", PLACED("x", "d", "12"))},
        {"resourceVersion=12&", SILENCE}, /* nothing lacks room any more */
        {0}};
    size_t lines;

    (void)state;
    namespace_max = 2;
    watch_known(script,
                "+x/a (spec) +x/b (spec) ? +x/c (nothing) ? +x/d (nothing) +y/a (spec) synced "
                "~x/b (spec) ? ~x/c (nothing) -x/a (spec) ~x/d (spec) "
                "~x/b (spec) ? ~x/c (nothing) ~x/d (spec) -y/a (spec) -x/b (spec) "
                "~x/c (spec) ~x/d (spec) -x/d (spec) ",
                "of its namespace take more than", &lines);
    namespace_max = SIZE_MAX;
    assert_int_equal(lines, 1); /* of all of them */
}

/* The name stands before what makes it so long. */
static void an_object_that_is_too_long_stops_no_stream(void **state)
{
    static const char head[] = STREAM "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":"
                                      "\"b\",\"resourceVersion\":\"2\",\"annotations\":{\"a\":\"";
    static const char tail[] = "\"}}}}\n" EVENT_OF("ADDED", READABLE("c", "3")) STREAM_END("5");
    size_t fill = KUBE_LINE_MAX, lines;
    cleanup_free char *text = malloc(sizeof head + fill + sizeof tail);
    struct exchange script[] = {
        {"sendInitialEvents=true", text}, {"resourceVersion=5&", SILENCE}, {0}};

    (void)state;
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', fill);
    memcpy(text + sizeof head - 1 + fill, tail, sizeof tail);
    watch_known(script, "? +b (nothing) +c (spec) synced ", "more than 4194304 bytes", &lines);
    assert_int_equal(lines, 1);
}

static void a_page_that_is_too_large_is_asked_for_again_in_halves(void **state)
{
    static const char head[] = HEAD("200 OK") "\r\n{\"metadata\":{\"resourceVersion\":\"5\"}, ";
    size_t fill = 12u << 20, lines;
    cleanup_free char *large = malloc(sizeof head + fill + 1);
    struct exchange script[] = {PAGES,
                                {"?limit=100 ", LIST("5", "c", READABLE("a", "1"))},
                                {"?limit=100&continue=c ", large},
                                {"?limit=50&continue=c ", large},
                                {"?limit=25&continue=c ", LIST("5", "d", READABLE("b", "2"))},
                                {"?limit=50&continue=d ", LIST("5", "", READABLE("c", "3"))},
                                {"resourceVersion=5&", SILENCE},
                                {0}};

    (void)state;
    memcpy(large, head, sizeof head - 1);
    memset(large + sizeof head - 1, ' ', fill);
    large[sizeof head - 1 + fill] = '\0';
    watch_known(script, "+a (spec) +b (spec) +c (spec) synced ", "watch failed", &lines);
    assert_int_equal(lines, 0);
}

static void what_is_no_list_of_objects_changes_nothing(void **state)
{
    static const struct exchange script[] = {
        PAGES,
        {"?limit", LIST("5", "", READABLE("a", "1") ",,")},
        PAGES,
        {"?limit", LIST("5", "", READABLE("a", "1") " no json")},
        PAGES,
        {"?limit", LIST("5", "", "{\"metadata\":{\"name\":\"a\",\"name\":\"b\"}}")},
        PAGES,
        {"?limit", LIST("6", "", READABLE("b", "1"))},
        {"resourceVersion=6&", SILENCE},
        {0}};
    size_t lines;

    (void)state;
    watch_known(script, "+a (spec) ~a (spec) +b (spec) -a (spec) synced ", "watch failed", &lines);
    assert_int_equal(lines, 3);
}

/* ---- When it is tried again --------------------------------------------------------------- */

/* Each gets so far, and no further. */
static void a_watch_that_fails_again_and_again_waits_longer_each_time(void **state)
{
    static const struct exchange script[] = {
        {"sendInitialEvents=true", STREAM EVENT_OF("ADDED", READABLE("a", "1")) "nonsense\n"},
        {"sendInitialEvents=true", STREAM EVENT_OF("ADDED", READABLE("a", "1")) "nonsense\n"},
        {"sendInitialEvents=true",
         STREAM EVENT_OF("ADDED", READABLE("a", "1")) STREAM_END("4") "nonsense\n"},
        {"sendInitialEvents=true", STREAM EVENT_OF("ADDED", READABLE("a", "1")) STREAM_END("5")},
        {"resourceVersion=5&", SILENCE},
        {0}};
    size_t lines;

    (void)state;
    watch_known(script, "+a (spec) ~a (spec) ~a (spec) synced ~a (spec) ", "\"failures\":3",
                &lines);
    assert_int_equal(lines, 1);
}

static void a_server_that_says_gone_again_and_again_is_not_asked_in_haste(void **state)
{
    static const char gone[] = JSON("410 Gone", "{\"kind\":\"Status\",\"code\":410}");
    static const struct exchange script[] = {
        {"sendInitialEvents=true", gone},
        {"sendInitialEvents=true", gone},
        {"sendInitialEvents=true", gone},
        {"sendInitialEvents=true", STREAM EVENT_OF("ADDED", READABLE("a", "1")) STREAM_END("5")},
        {"resourceVersion=5&", SILENCE},
        {0}};
    size_t lines;

    (void)state;
    watch_known(script, "+a (spec) synced ", "watch failed", &lines);
    assert_int_equal(lines, 2); /* after the first it is at once */
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
        cmocka_unit_test(an_object_that_cannot_be_read_stops_no_stream_and_is_named_once),
        cmocka_unit_test(an_object_that_cannot_be_read_spoils_no_page),
        cmocka_unit_test(what_can_be_kept_in_no_form_is_gone),
        cmocka_unit_test(a_namespace_has_its_share_and_takes_none_from_another),
        cmocka_unit_test(an_object_that_is_too_long_stops_no_stream),
        cmocka_unit_test(a_page_that_is_too_large_is_asked_for_again_in_halves),
        cmocka_unit_test(what_is_no_list_of_objects_changes_nothing),
        cmocka_unit_test(a_watch_that_fails_again_and_again_waits_longer_each_time),
        cmocka_unit_test(a_server_that_says_gone_again_and_again_is_not_asked_in_haste),
        cmocka_unit_test(what_is_in_work_can_be_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
