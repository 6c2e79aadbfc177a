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
    static const char *const lists[] = {"containers", "initContainers", "imagePullSecrets"};

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

#define MANY 1000

/* A GitGate whose selector looks at all of 64 labels, and selects nothing. */
static struct gate *gate_that_looks(void)
{
    json_auto_t *gate = load("inject/one-container", "gate.json");
    json_t *list = json_array();

    for (int i = 0; i < 64; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "key", i < 63 ? "l0" : "none", "operator", "Exists"));
    json_object_set_new(json_object_get(gate, "metadata"), "name", json_string("other"));
    json_object_set_new(json_object_get(gate, "spec"), "podSelector",
                        json_pack("{s:o}", "matchExpressions", list));
    return gate_new(gate);
}

static void more_than_can_be_looked_at_in_time_is_refused_where_selectors_count(void **state)
{
    static const int labels[] = {4, 400};
    struct gate *other = gate_that_looks(), *many[MANY];
    json_auto_t *review = load("inject/one-container", "review.json");
    json_t *metadata =
        json_object_get(json_object_get(json_object_get(review, "request"), "object"), "metadata");
    struct fixture fixture = {.random = GROUP - GROUP_MIN, .list = {many, MANY}};

    (void)state;
    assert_non_null(other);
    for (size_t i = 0; i < MANY; i++)
        many[i] = other;
    for (size_t n = 0; n < 2; n++) {
        json_object_clear(json_object_get(metadata, "labels"));
        for (int i = 0; i < labels[n]; i++) {
            char key[32];

            snprintf(key, sizeof key, "l%d", i);
            json_object_set_new(json_object_get(metadata, "labels"), key, json_string(""));
        }
        for (int enabled = 0; enabled < 2; enabled++) {
            json_auto_t *answer =
                ask(&fixture, enabled ? "/mutate-pod/enabled" : "/mutate-pod", review);
            cleanup_free char *text = json_dumps(answer, 0);

            assert_int_equal(allowed(answer), n == 0 || !enabled);
            assert_int_equal(strstr(text, "too many requirements for a pod of 400 labels") != NULL,
                             !allowed(answer));
        }
    }
    gate_free(other);
}

#define CPU_MAX_S 20 /* read once they take half a second, looked up by name more than these */

/* Who takes longer is ended. Returns the limit to set again. */
static struct rlimit limit_cpu(void)
{
    struct rlimit before, limit;

    assert_int_equal(getrlimit(RLIMIT_CPU, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)clock() / CLOCKS_PER_SEC + CPU_MAX_S;
    assert_int_equal(setrlimit(RLIMIT_CPU, &limit), 0);
    return before;
}

static void variables_are_read_once_however_many_there_are(void **state)
{
    struct rlimit before;
    json_t *env = repeated(json_pack("{s:s}", "name", "a"), 150000);
    json_t *count = json_pack("{s:s, s:s}", "name", "GIT_CONFIG_COUNT", "value", "999");

    (void)state;
    json_array_append_new(env, count);
    before = limit_cpu();
    for (int i = 0; i < 5; i++) {
        json_auto_t *answer = ask_with("/mutate-pod", "containers",
                                       json_pack("[{s:s, s:O}]", "name", "agent", "env", env));

        assert_true(allowed(answer));
    }
    assert_int_equal(setrlimit(RLIMIT_CPU, &before), 0);
    json_decref(env);
}

/* A GitGate of as many upstreams, Secrets and extraHosts as there may be, and a pod of as many
 * aliases, each name as long as the other and different at its end alone. */
static json_t *largest_gate(void)
{
    json_t *gate = load("inject/one-container", "gate.json");
    json_t *upstreams = json_object_get(json_object_get(gate, "spec"), "upstreams");
    json_t *hosts[64], *first = json_array_get(upstreams, 0);

    for (int i = 0; i < 64; i++) {
        json_t *upstream = i ? json_deep_copy(first) : first;
        char text[128];

        hosts[i] = json_object();
        snprintf(text, sizeof text, "up%d", i);
        json_object_set_new(upstream, "name", json_string(text));
        snprintf(text, sizeof text, "ssh://git@git.example.com:2222/team/app%d.git", i);
        json_object_set_new(upstream, "url", json_string(text));
        snprintf(text, sizeof text, "app-deploy-key-%d", i);
        json_object_set_new(json_object_get(json_object_get(upstream, "ssh"), "secretRef"), "name",
                            json_string(text));
        if (i)
            json_array_append_new(upstreams, upstream);
    }
    for (int i = 0; i < 64; i++)
        json_object_set_new(json_array_get(upstreams, (size_t)i), "extraHosts", hosts[i]);
    for (int i = 0; i < 64 * 32; i++) {
        char name[256], ip[32];

        snprintf(name, sizeof name, "%060d.%060d.%060d", 0, 0, i);
        snprintf(ip, sizeof ip, "10.0.%d.%d", i / 256, i % 256);
        json_object_set_new(hosts[i / 32], name, json_string(ip));
    }
    return gate;
}

static json_t *many_aliases(void)
{
    json_t *aliases = json_array();

    for (int i = 0; i < 500; i++) {
        char name[256], ip[32];

        snprintf(name, sizeof name, "%060d.%060d.%060d", 0, 0, 5000 + i);
        snprintf(ip, sizeof ip, "10.1.%d.%d", i / 256, i % 256);
        json_array_append_new(aliases, json_pack("{s:s, s:[s]}", "ip", ip, "hostnames", name));
    }
    return aliases;
}

static void hosts_are_looked_up_however_many_there_are(void **state)
{
    struct fixture fixture = {.random = 0};
    json_auto_t *review = load("inject/one-container", "review.json"), *object = largest_gate();
    json_t *pod = json_object_get(json_object_get(review, "request"), "object");
    cleanup_review struct review parsed = {0};
    cleanup_free char *text = NULL;
    struct inject_options options = {.parts = {IMAGE, false}};
    struct rlimit before;

    (void)state;
    json_object_set_new(json_object_get(pod, "spec"), "hostAliases", many_aliases());
    text = json_dumps(review, 0);
    assert_int_equal(review_parse(text, strlen(text), &parsed, NULL), 0);
    before = limit_cpu();
    for (int i = 0; i < 50; i++) { /* as GitGates are read, too */
        struct gate *gate = gate_new(object);

        assert_non_null(gate);
        assert_null(gate->problem);
        fixture.list = (struct gate_list){&gate, 1};
        for (int j = 0; j < 20; j++) {
            cleanup_decision struct decision decision = DECISION_INIT;

            inject(&parsed, fixture.list, &options, &decision);
            assert_true(decision.allowed);
            assert_true(decision.patch.n > 64 * 32);
        }
        gate_free(gate);
    }
    assert_int_equal(setrlimit(RLIMIT_CPU, &before), 0);
}

static void strings_are_compared_with_no_secret_each(void **state)
{
    struct fixture fixture = {.random = 0};
    json_auto_t *review = load("inject/one-container", "review.json"), *object = largest_gate();
    json_t *pod = json_object_get(json_object_get(review, "request"), "object");
    json_t *spec = json_object_get(pod, "spec");
    cleanup_review struct review parsed = {0};
    cleanup_free char *text = NULL;
    struct inject_options options = {.parts = {IMAGE, false}};
    struct gate *gate = gate_new(object);
    struct rlimit before;

    (void)state;
    json_object_set_new(json_array_get(json_object_get(spec, "containers"), 0), "args",
                        repeated(json_string("app-deploy-key-"), 200000));
    text = json_dumps(review, 0);
    assert_int_equal(review_parse(text, strlen(text), &parsed, NULL), 0);
    fixture.list = (struct gate_list){&gate, 1};
    before = limit_cpu();
    for (int i = 0; i < 200; i++) {
        cleanup_decision struct decision decision = DECISION_INIT;

        inject(&parsed, fixture.list, &options, &decision);
        assert_true(decision.allowed);
    }
    assert_int_equal(setrlimit(RLIMIT_CPU, &before), 0);
    gate_free(gate);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gets_its_answer_and_no_patch_is_needed_twice),
        cmocka_unit_test(a_patch_grows_with_what_is_injected_not_with_the_pod),
        cmocka_unit_test(lists_that_nobody_has_so_long_are_refused),
        cmocka_unit_test(more_labels_than_anybody_has_are_refused_where_selectors_count),
        cmocka_unit_test(more_than_can_be_looked_at_in_time_is_refused_where_selectors_count),
        cmocka_unit_test(variables_are_read_once_however_many_there_are),
        cmocka_unit_test(strings_are_compared_with_no_secret_each),
        cmocka_unit_test(hosts_are_looked_up_however_many_there_are),
        cmocka_unit_test(git_gets_no_pair_that_it_would_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
