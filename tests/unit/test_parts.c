/* What injection puts into a pod, and what it keeps of a GitGate for that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "gate.h"
#include "group.h"
#include "parts.h"

#define IMAGE "registry.example/gitgate-gate:0.1.0"
#define PART_MAX (1u << 20)

/* ---- The group ----------------------------------------------------------------------------- */

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

#define GROUP 1234567890

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
        cleanup_buf struct buf text = BUF_INIT(PART_MAX);
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

/* ---- GitGates ------------------------------------------------------------------------------ */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_drawn_from_what_the_pod_has_room_for),
        cmocka_unit_test(a_group_that_cannot_have_been_drawn_is_drawn_again),
        cmocka_unit_test(what_a_gitgate_says_is_not_taken_for_the_group),
        cmocka_unit_test(of_a_gate_is_kept_what_injection_asks_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
