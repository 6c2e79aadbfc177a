/* The webhook's decisions: each folder of cases/inject is one.
 *
 *   review.json    what the API server asks
 *   path           where it asks, when it isn't /mutate-pod
 *   gate*.json     the GitGates of the pod's namespace
 *   plain-container  when it is there, the gate is no native sidecar
 *   response.json  the answer, its patch decoded
 *
 * Every patch is applied, and the pod that it makes must get an empty one and pass validation.
 * With GITGATE_WRITE_CASES=1 in the environment the answers are written instead: review them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "data/base64.h"
#include "data/json_patch.h"
#include "group.h"
#include "inject.h"
#include "patch.h"
#include "validate.h"

#define IMAGE "registry.example/gitgate-gate:0.1.0"
#define CASE_MAX (1u << 20)
#define GROUP 1234567890 /* what the cases' gates are drawn */

/* ---- One case ------------------------------------------------------------------------------ */

struct fixture {
    struct gate *gates[8];
    struct gate_list list;
    char path[64];
    bool plain_container;
    uint64_t random;
};

static json_t *load(const char *folder, const char *file)
{
    char path[512];
    json_error_t where;
    json_t *document;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    document = json_load_file(path, 0, &where);
    if (!document)
        fail_msg("%s:%d: %s", path, where.line, where.text);
    return document;
}

static void load_gates(const char *folder, struct fixture *ret)
{
    char pattern[512];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/gate*.json", folder);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            json_auto_t *object = json_load_file(found.gl_pathv[i], 0, NULL);

            ret->gates[i] = gate_new(object);
            assert_non_null(ret->gates[i]);
        }
        ret->list.n = found.gl_pathc;
        globfree(&found);
    }
    ret->list.gates = ret->gates;
}

static void load_fixture(const char *folder, struct fixture *ret)
{
    char path[512];
    cleanup_buf struct buf text = BUF_INIT(sizeof ret->path - 1);

    *ret = (struct fixture){.path = "/mutate-pod", .random = GROUP - GROUP_MIN};
    snprintf(path, sizeof path, "%s/path", folder);
    if (file_read(path, &text, NULL) == 0)
        snprintf(ret->path, sizeof ret->path, "%.*s", (int)strcspn(text.data, "\n"), text.data);
    snprintf(path, sizeof path, "%s/plain-container", folder);
    ret->plain_container = access(path, F_OK) == 0;
    load_gates(folder, ret);
}

static void free_fixture(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->list.n; i++)
        gate_free(fixture->gates[i]);
}

/* The answer as the server would send it, but for the patch, which is decoded. */
static json_t *ask(const struct fixture *fixture, const char *path, const json_t *review)
{
    cleanup_free char *text = json_dumps(review, 0);
    cleanup_review struct review parsed = {0};
    cleanup_decision struct decision decision = DECISION_INIT;
    cleanup_buf struct buf patch = BUF_INIT(CASE_MAX);
    cleanup_buf struct buf bytes = BUF_INIT(CASE_MAX);
    struct inject_options options = {.parts = {IMAGE, fixture->plain_container},
                                     .random = fixture->random,
                                     .namespace_enabled = strstr(path, "/enabled") != NULL};
    json_t *answer, *response;
    const char *base64;

    assert_int_equal(review_parse(text, strlen(text), &parsed, NULL), 0);
    if (strncmp(path, "/mutate-pod", 11) == 0)
        inject(&parsed, fixture->list, &options, &decision);
    else if (strncmp(path, "/validate-pod", 13) == 0)
        validate_pod(&parsed, fixture->list, &options, &decision);
    else
        validate_gitgate(&parsed, &decision);
    assert_int_equal(decision.err, 0);
    review_answer(&parsed, &decision, &bytes);
    answer = json_loads(bytes.data, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(answer);
    response = json_object_get(answer, "response");
    base64 = json_string_value(json_object_get(response, "patch"));
    if (base64) {
        assert_int_equal(base64_decode(base64, strlen(base64), &patch), 0);
        json_object_set_new(response, "patch", json_loads(patch.data, 0, NULL));
    }
    return answer;
}

static void check_answer(const char *folder, const json_t *answer)
{
    char path[512];
    json_auto_t *expected = NULL;
    cleanup_free char *text = json_dumps(answer, JSON_INDENT(2));

    if (getenv("GITGATE_WRITE_CASES")) {
        snprintf(path, sizeof path, "%s/response.json", folder);
        assert_int_equal(json_dump_file(answer, path, JSON_INDENT(2)), 0);
        return;
    }
    expected = load(folder, "response.json");
    if (!json_equal((json_t *)answer, expected))
        fail_msg("%s: another answer than response.json:\n%s", folder, text);
}

static bool allowed(const json_t *answer)
{
    return json_is_true(json_object_get(json_object_get(answer, "response"), "allowed"));
}

/* What the patch does can be taken back to the last byte: `gitgate uninject` does. */
static void check_undo(const char *folder, const json_t *pod, const json_t *patch)
{
    json_auto_t *copy = json_deep_copy(pod), *undo = json_array();
    cleanup_free char *before = json_dumps(pod, 0), *after = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(json_patch_apply(copy, patch, undo, &err), 0);
    if (json_patch_apply(copy, undo, NULL, &err) < 0)
        fail_msg("%s: %s", folder, err.msg);
    after = json_dumps(copy, 0);
    if (strcmp(before, after) != 0)
        fail_msg("%s: not taken back:\n%s\n%s", folder, before, after);
}

/* What is drawn later must not matter. */
static void check_patched(const char *folder, struct fixture *fixture, json_t *review,
                          const json_t *patch)
{
    json_t *object = json_object_get(json_object_get(review, "request"), "object");
    char validate[64];
    json_auto_t *again = NULL, *verdict = NULL;

    check_undo(folder, object, patch);
    assert_int_equal(json_patch_apply(object, patch, NULL, NULL), 0);
    fixture->random++;
    again = ask(fixture, fixture->path, review);
    if (!allowed(again) || json_object_get(json_object_get(again, "response"), "patch"))
        fail_msg("%s: the patched pod is patched again", folder);
    snprintf(validate, sizeof validate, "/validate%s", fixture->path + strlen("/mutate"));
    verdict = ask(fixture, validate, review);
    if (!allowed(verdict))
        fail_msg("%s: the patched pod does not pass %s", folder, validate);
}

static void check_case(const char *folder)
{
    struct fixture fixture;
    json_auto_t *review = load(folder, "review.json"), *answer = NULL;
    const json_t *patch;

    load_fixture(folder, &fixture);
    answer = ask(&fixture, fixture.path, review);
    check_answer(folder, answer);
    patch = json_object_get(json_object_get(answer, "response"), "patch");
    if (patch)
        check_patched(folder, &fixture, review, patch);
    free_fixture(&fixture);
}

static void every_case_gets_its_answer_and_no_patch_is_needed_twice(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("inject/*", GLOB_ONLYDIR, NULL, &found), 0);
    assert_true(found.gl_pathc > 50);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_case(found.gl_pathv[i]);
    globfree(&found);
}

/* ---- Promises that no single case shows ---------------------------------------------------- */

static void a_patch_grows_with_what_is_injected_not_with_the_pod(void **state)
{
    struct fixture fixture;
    json_auto_t *review = load("inject/one-container", "review.json");
    json_auto_t *before = NULL, *after = NULL;
    json_t *object = json_object_get(json_object_get(review, "request"), "object");
    json_t *env = json_object_get(
        json_array_get(json_object_get(json_object_get(object, "spec"), "containers"), 0), "env");

    (void)state;
    load_fixture("inject/one-container", &fixture);
    before = ask(&fixture, "/mutate-pod", review);
    for (int i = 0; i < 1000; i++) {
        char name[32];

        snprintf(name, sizeof name, "VARIABLE_%d", i);
        json_array_append_new(env, json_pack("{s:s, s:s}", "name", name, "value", "0123456789"));
    }
    after = ask(&fixture, "/mutate-pod", review);
    assert_true(json_equal(before, after));
    free_fixture(&fixture);
}

/* ---- Pods that are made to keep the webhook from others ----------------------------------- */

static json_t *repeated(json_t *value, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append(list, value);
    json_decref(value);
    return list;
}

/* What is said of one-container's pod, with `value` in its spec. */
static json_t *ask_with(const char *path, const char *field, json_t *value)
{
    struct fixture fixture;
    json_auto_t *review = load("inject/one-container", "review.json");
    json_t *object = json_object_get(json_object_get(review, "request"), "object"), *answer;

    load_fixture("inject/one-container", &fixture);
    json_object_set_new(json_object_get(object, "spec"), field, value);
    answer = ask(&fixture, path, review);
    free_fixture(&fixture);
    return answer;
}

static void lists_that_nobody_has_so_long_are_refused(void **state)
{
    static const char *const lists[] = {"containers", "initContainers"};

    (void)state;
    for (int n = 1000; n <= 1001; n++) {
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            json_auto_t *answer =
                ask_with("/mutate-pod", lists[i], repeated(json_pack("{s:s}", "name", "x"), n));

            assert_int_equal(allowed(answer), n == 1000);
        }
        json_auto_t *answer = ask_with("/mutate-pod", "hostAliases",
                                       json_pack("[{s:s, s:o}]", "ip", "192.0.2.1", "hostnames",
                                                 repeated(json_string("a"), n - 1)));

        assert_int_equal(allowed(answer), n == 1000);
    }
}

static void more_labels_than_anybody_has_are_refused_where_selectors_count(void **state)
{
    struct fixture fixture;
    json_auto_t *review = load("inject/one-container", "review.json");
    json_t *metadata =
        json_object_get(json_object_get(json_object_get(review, "request"), "object"), "metadata");

    (void)state;
    load_fixture("inject/one-container", &fixture);
    while (json_object_size(json_object_get(metadata, "labels")) <= 1000) {
        char key[32];

        snprintf(key, sizeof key, "l%zu", json_object_size(json_object_get(metadata, "labels")));
        json_object_set_new(json_object_get(metadata, "labels"), key, json_string(""));
    }
    for (int enabled = 0; enabled < 2; enabled++) {
        json_auto_t *answer =
            ask(&fixture, enabled ? "/mutate-pod/enabled" : "/mutate-pod", review);

        assert_int_equal(allowed(answer), !enabled);
    }
    free_fixture(&fixture);
}

#define CPU_MAX_S 20 /* read once they take half a second, looked up by name more than these */

static void variables_are_read_once_however_many_there_are(void **state)
{
    struct rlimit before, limit;
    json_t *env = repeated(json_pack("{s:s}", "name", "a"), 150000);
    json_t *count = json_pack("{s:s, s:s}", "name", "GIT_CONFIG_COUNT", "value", "999");

    (void)state;
    json_array_append_new(env, count);
    assert_int_equal(getrlimit(RLIMIT_CPU, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)clock() / CLOCKS_PER_SEC + CPU_MAX_S;
    assert_int_equal(setrlimit(RLIMIT_CPU, &limit), 0);
    for (int i = 0; i < 5; i++) {
        json_auto_t *answer = ask_with("/mutate-pod", "containers",
                                       json_pack("[{s:s, s:O}]", "name", "agent", "env", env));

        assert_true(allowed(answer));
    }
    assert_int_equal(setrlimit(RLIMIT_CPU, &before), 0);
    json_decref(env);
}

static void git_gets_no_pair_that_it_would_not_count(void **state)
{
    static const struct {
        const char *count;
        bool allowed;
    } counts[] = {{"0", true}, {"999", true}, {"1000", false}, {"1001", false}, {"x", false}};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_auto_t *answer =
            ask_with("/mutate-pod", "containers",
                     json_pack("[{s:s, s:[{s:s, s:s}]}]", "name", "agent", "env", "name",
                               "GIT_CONFIG_COUNT", "value", counts[i].count));

        assert_int_equal(allowed(answer), counts[i].allowed);
    }
}

static uint32_t drawn(const char *pod, uint64_t random)
{
    cleanup_free char *body = strdup(pod);
    cleanup_document struct document document = DOCUMENT_INIT;
    struct gitgate gate = {.name = "agents", .image = ""};
    struct parts *parts = parts_new(&gate, &(struct parts_options){.image = IMAGE});
    uint32_t group;

    assert_non_null(parts);
    assert_int_equal(document_parse(body, strlen(body), &document, NULL), 0);
    group = group_of(document_root(&document), parts, random);
    parts_free(parts);
    return group;
}

static void a_group_is_drawn_from_what_the_pod_has_room_for(void **state)
{
    (void)state;
    assert_int_equal(drawn("{}", 0), GROUP_MIN);
    assert_int_equal(drawn("{}", GROUP_MAX - GROUP_MIN), GROUP_MAX);
    assert_in_range(drawn("{}", UINT64_MAX), GROUP_MIN, GROUP_MAX);
    assert_in_range(drawn("{\"spec\":{\"hostUsers\":true}}", 1), GROUP_MIN, GROUP_MAX);
    assert_int_equal(drawn("{\"spec\":{\"hostUsers\":false}}", 40000), GROUP_OWN_USERS_MAX);
    assert_int_equal(drawn("{\"spec\":{\"hostUsers\":false}}", 40001), GROUP_OWN_USERS_MIN);
}

static void a_group_that_cannot_have_been_drawn_is_drawn_again(void **state)
{
    static const char *const groups[] = {"0",          "9418",        "4294967295",
                                         "2147483648", "-1073741825", "15e8",
                                         "1.5e9",      "null",        "\"1500000000\""};
    char pod[256];

    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        snprintf(pod, sizeof pod,
                 "{\"spec\":{\"initContainers\":[{\"name\":\"gitgate\",\"securityContext\":"
                 "{\"runAsGroup\":%s}}]}}",
                 groups[i]);
        assert_int_equal(drawn(pod, 7), GROUP_MIN + 7);
    }
    assert_int_equal(drawn("{\"spec\":{\"initContainers\":[{\"name\":\"gitgate\","
                           "\"securityContext\":{\"runAsGroup\":1500000000}}]}}",
                           7),
                     1500000000);
    /* An ordinary container of the name is the pod's own, and refused elsewhere. */
    assert_int_equal(drawn("{\"spec\":{\"containers\":[{\"name\":\"gitgate\","
                           "\"securityContext\":{\"runAsGroup\":1500000000}}]}}",
                           7),
                     GROUP_MIN + 7);
}

static json_t *many(const char *before, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_sprintf("%s%d", before, i));
    return list;
}

/* As large as a namespace's owner can make one, but for what injection puts into pods. */
static json_t *large_gate(void)
{
    json_t *rules = json_array(), *ports = json_array(), *egress = json_array();
    char note[20001];

    for (int i = 0; i < 300; i++)
        json_array_append_new(rules, json_pack("{s:o, s:s, s:o}", "id", json_sprintf("r%d", i),
                                               "regex", "abc", "keywords", many("k", 64)));
    for (int i = 0; i < 64; i++)
        json_array_append_new(ports, json_pack("{s:i}", "port", 1000 + i));
    for (int i = 0; i < 64; i++)
        json_array_append_new(egress,
                              json_pack("{s:s, s:O}", "cidr", "10.0.0.0/8", "ports", ports));
    json_decref(ports);
    memset(note, 'x', sizeof note - 1);
    note[sizeof note - 1] = '\0';
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}, s:{s:[{s:s, s:s, s:{s:o}}], s:{s:o},"
                     " s:{s:{s:o}}}, s:{s:s}}",
                     "apiVersion", GITGATE_API_VERSION, "kind", GITGATE_KIND, "metadata", "name",
                     "agents", "namespace", "team-a", "annotations", "note", note, "spec",
                     "upstreams", "name", "app", "url", "https://git.example.com/team/app.git",
                     "push", "refs", many("refs/heads/", 64), "scan", "rules", rules, "network",
                     "agentEgress", "to", egress, "status", "note", note);
}

static void of_a_gate_is_kept_what_injection_asks_for(void **state)
{
    json_auto_t *object = large_gate();
    cleanup_free char *before = json_dumps(object, JSON_COMPACT), *after = NULL;
    struct gate *gate = gate_new(object);

    (void)state;
    assert_non_null(gate);
    assert_null(gate->problem);
    after = json_dumps(gate->spec.source, JSON_COMPACT);
    assert_true(strlen(before) > 200000);
    assert_in_range(strlen(after), 1, 500);
    gate_free(gate);
}

/* The text of a part has a place for the group: nothing that a GitGate says is taken for it. */
static void what_a_gitgate_says_is_not_taken_for_the_group(void **state)
{
    json_auto_t *resources = json_pack("{s:{s:I, s:s}}", "limits", "memory", (json_int_t)UINT32_MAX,
                                       "\"runAsGroup\":4294967295}}", "x");
    struct gitgate gate = {.name = "agents",
                           .image = "gate:4294967295",
                           .resources = resources,
                           .isolation_nftables = true};

    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        struct parts_options options = {.image = IMAGE, .plain_container = plain};
        struct parts *parts = parts_new(&gate, &options);
        const struct part *part =
            parts_find(parts, plain ? "containers" : "initContainers", CONTAINER_GATE);
        cleanup_buf struct buf text = BUF_INIT(CASE_MAX);
        json_auto_t *container = NULL;

        part_write(part, GROUP, &text);
        container = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
        assert_string_equal(json_string_value(json_object_get(container, "image")),
                            "gate:4294967295");
        assert_true(json_equal(json_object_get(container, "resources"), resources));
        assert_int_equal(json_integer_value(json_object_get(
                             json_object_get(container, "securityContext"), "runAsGroup")),
                         GROUP);
        parts_free(parts);
    }
}

static void pointers_escape_what_would_end_a_token(void **state)
{
    struct pointer labels = pointer_to("/metadata/labels");

    (void)state;
    assert_string_equal(pointer_member(&labels, "a/b~c").text, "/metadata/labels/a~1b~0c");
    assert_string_equal(pointer_index(&labels, 12).text, "/metadata/labels/12");
    assert_string_equal(pointer_end(&labels).text, "/metadata/labels/-");
}

static void a_pointer_that_is_too_long_spoils_the_patch(void **state)
{
    char key[2 * POINTER_MAX];
    struct pointer root = pointer_to("");
    cleanup_patch struct patch patch = PATCH_INIT;

    (void)state;
    memset(key, '/', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    patch_add(&patch, pointer_member(&root, key), "true");
    assert_int_equal(patch_error(&patch), -ENAMETOOLONG);
}

static void what_is_no_admission_review_is_refused_with_what_it_lacks(void **state)
{
    static const struct {
        const char *body, *message;
    } bad[] = {
        {"", "the body cannot be read: is not JSON: byte 0"},
        {"{\"kind\":1,\"kind\":1}", "stands twice"},
        {"\"\xff\"", "is not UTF-8"},
        {"[]", "not an AdmissionReview of admission.k8s.io/v1"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}",
         "admissionReviewVersions: [v1]"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
         "has no request in it"},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}",
         "has no uid"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct review review = {0};
        struct error err = ERROR_INIT;
        cleanup_free char *body = strdup(bad[i].body);

        assert_int_equal(review_parse(body, strlen(body), &review, &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].message));
    }
}

static void ten_thousand_nested_arrays_are_refused_not_followed(void **state)
{
    char body[20001];
    struct review review = {0};

    (void)state;
    memset(body, '[', 10000);
    memset(body + 10000, ']', 10000);
    assert_int_equal(review_parse(body, 20000, &review, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gets_its_answer_and_no_patch_is_needed_twice),
        cmocka_unit_test(a_patch_grows_with_what_is_injected_not_with_the_pod),
        cmocka_unit_test(a_group_is_drawn_from_what_the_pod_has_room_for),
        cmocka_unit_test(a_group_that_cannot_have_been_drawn_is_drawn_again),
        cmocka_unit_test(lists_that_nobody_has_so_long_are_refused),
        cmocka_unit_test(more_labels_than_anybody_has_are_refused_where_selectors_count),
        cmocka_unit_test(variables_are_read_once_however_many_there_are),
        cmocka_unit_test(git_gets_no_pair_that_it_would_not_count),
        cmocka_unit_test(of_a_gate_is_kept_what_injection_asks_for),
        cmocka_unit_test(what_a_gitgate_says_is_not_taken_for_the_group),
        cmocka_unit_test(pointers_escape_what_would_end_a_token),
        cmocka_unit_test(a_pointer_that_is_too_long_spoils_the_patch),
        cmocka_unit_test(what_is_no_admission_review_is_refused_with_what_it_lacks),
        cmocka_unit_test(ten_thousand_nested_arrays_are_refused_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
