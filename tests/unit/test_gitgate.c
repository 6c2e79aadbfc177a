/* A GitGate decodes to what it says, with the safe value for all that it leaves open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "api/gitgate.h"
#include "base/file.h"
#include "data/yaml.h"

#define HOST_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

/* A gate of one https upstream, as short as one can be. */
static json_t *smallest(void)
{
    json_t *object =
        json_pack("{s:s, s:s, s:{s:s}, s:{s:[{s:s, s:s}]}}", "apiVersion", GITGATE_API_VERSION,
                  "kind", GITGATE_KIND, "metadata", "name", "agents", "spec", "upstreams", "name",
                  "app", "url", "https://git.example.com/team/app.git");

    assert_non_null(object);
    return object;
}

static void what_is_left_open_gets_the_safe_value(void **state)
{
    json_auto_t *object = smallest();
    json_auto_t *before = json_deep_copy(object);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate gate = {0};
    const struct upstream *u;

    (void)state;
    assert_int_equal(gitgate_decode(object, true, &gate, &problems), 0);
    assert_true(json_equal(object, before));
    assert_string_equal(gate.name, "agents");
    assert_string_equal(gate.namespace_, "");
    assert_string_equal(gate.uid, "");
    assert_int_equal(gate.placement, PLACEMENT_SIDECAR);
    assert_true(gate.network_managed && gate.isolation_nftables);
    assert_false(gate.agent_dns);
    assert_null(gate.agent_egress);
    assert_null(gate.pod_selector);
    assert_string_equal(gate.image, "");
    assert_string_equal(gate.cache_size_limit, "2Gi");
    assert_int_equal(gate.scan.timeout_ms, 120000);
    assert_int_equal(gate.scan.max_push_size, 512 << 20);
    u = gitgate_upstream(&gate, "app");
    assert_non_null(u);
    assert_null(gitgate_upstream(&gate, "other"));
    assert_int_equal(u->auth, AUTH_ANONYMOUS);
    assert_null(u->secret);
    assert_null(u->known_host_keys[0]);
    assert_true(u->fetch_allow && u->push.allow);
    assert_false(u->push.allow_force || u->push.allow_delete);
    assert_string_equal(u->push.refs[0], "refs/heads/*");
    assert_string_equal(u->push.refs[1], "refs/tags/*");
    assert_null(u->push.refs[2]);
}

static void a_decoded_gate_decodes_again_to_the_same(void **state)
{
    json_auto_t *object = smallest();
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate once = {0}, twice = {0};

    (void)state;
    assert_int_equal(gitgate_decode(object, true, &once, &problems), 0);
    assert_int_equal(gitgate_decode(once.source, true, &twice, &problems), 0);
    assert_true(json_equal(once.source, twice.source));
}

/* `path` "a.b" below spec.upstreams[0] set to `value`; gives the problems as printed. */
static char *problems_with(const char *upstream_fields)
{
    json_auto_t *object = smallest();
    json_auto_t *fields = json_loads(upstream_fields, 0, NULL);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    cleanup_gitgate struct gitgate gate = {0};
    json_t *list = json_object_get(json_object_get(object, "spec"), "upstreams");

    assert_non_null(fields);
    json_object_update(json_array_get(list, 0), fields);
    gitgate_decode(object, true, &gate, &problems);
    problems_print(&problems, NULL, &out);
    return buf_take(&out);
}

static void an_ssh_upstream_has_its_key_and_pinned_host_keys(void **state)
{
    cleanup_free char *fine = problems_with(
        "{\"url\":\"git@git.example.com:team/app\",\"ssh\":{\"secretRef\":{\"name\":\"k\"},"
        "\"knownHostKeys\":[\"" HOST_KEY "\"]}}");
    cleanup_free char *bare = problems_with("{\"url\":\"git@git.example.com:team/app\"}");
    cleanup_free char *nameless =
        problems_with("{\"url\":\"git@git.example.com:team/app\",\"ssh\":{\"secretRef\":{}}}");

    (void)state;
    assert_string_equal(fine, "");
    assert_string_equal(bare, "spec.upstreams[0].ssh: is required for an ssh URL: "
                              "ssh.secretRef.name names the Secret with its key\n");
    assert_string_equal(nameless, "spec.upstreams[0].ssh.secretRef.name: is required\n");
}

static void host_keys_that_ssh_would_not_take_are_refused(void **state)
{
    static const char *const wrong[] = {
        "ssh-ed25519",
        "ssh-ed25519 ",
        "git.example.com " HOST_KEY,
        HOST_KEY " comment",
        "ssh-dss AAAAB3NzaC1kc3MAAAA=",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAA*",
        HOST_KEY "\\nother.example.com " HOST_KEY,
        "@cert-authority * " HOST_KEY,
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cleanup_buf struct buf fields = BUF_INIT(4096);
        cleanup_free char *found = NULL;

        buf_addf(&fields,
                 "{\"url\":\"git@git.example.com:team/app\",\"ssh\":{\"secretRef\":{\"name\":"
                 "\"k\"},\"knownHostKeys\":[\"%s\"]}}",
                 wrong[i]);
        found = problems_with(fields.data);
        if (strncmp(found, "spec.upstreams[0].ssh.knownHostKeys[0]: ", 40) != 0)
            fail_msg("%s gave: %s", wrong[i], found);
    }
}

static void a_pushed_ref_pattern_matches_heads_and_tags_alone(void **state)
{
    static const char *const fine[] = {
        "refs/heads/*",
        "refs/tags/v*",
        "refs/heads/agent/$(POD_NAME)/*",
        "refs/heads/$(POD_NAMESPACE)-$(SERVICE_ACCOUNT)",
    };
    static const char *const wrong[] = {
        "",
        "*",
        "refs/*",
        "refs/notes/*",
        "refs/heads",
        "refs/headsx/a",
        "main",
        "refs/heads/$(HOSTNAME)",
        "refs/heads/$HOME",
        "refs/heads/$(POD_NAME",
        "refs/heads/a..b",
        "refs/heads/a b",
        "refs/heads/[a]",
        "refs/heads/a'b",
        "refs/heads/a\\nb",
        "refs/heads/",
        "refs/heads//a",
    };

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine + sizeof wrong / sizeof *wrong; i++) {
        size_t n = sizeof fine / sizeof *fine;
        const char *pattern = i < n ? fine[i] : wrong[i - n];
        cleanup_buf struct buf fields = BUF_INIT(4096);
        cleanup_free char *found = NULL;

        buf_addf(&fields, "{\"push\":{\"refs\":[\"%s\"]}}", pattern);
        found = problems_with(fields.data);
        if (i < n ? *found : strncmp(found, "spec.upstreams[0].push.refs[0]: ", 32) != 0)
            fail_msg("%s gave: %s", pattern, found);
    }
}

static json_t *add_upstream(json_t *object, const char *name, const char *url)
{
    json_t *upstream = json_pack("{s:s, s:s}", "name", name, "url", url);

    json_array_append_new(json_object_get(json_object_get(object, "spec"), "upstreams"), upstream);
    return upstream;
}

static void extra_hosts_are_merged_once_each(void **state)
{
    json_auto_t *object = smallest();
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate gate = {0};
    cleanup_free struct extra_host *hosts = NULL;

    (void)state;
    for (int i = 0; i < 2; i++)
        json_object_set_new(
            add_upstream(object, i ? "b" : "a", i ? "https://h.example/b" : "https://h.example/a"),
            "extraHosts",
            json_pack("{s:s, s:s}", "h.example", i ? "2001:db8:0::1" : "2001:db8::1",
                      i ? "y.example" : "x.example", "10.0.0.1"));
    assert_int_equal(gitgate_decode(object, true, &gate, &problems), 0);
    assert_int_equal(gitgate_extra_hosts(&gate, &hosts, NULL), 3);
    assert_string_equal(hosts[0].host, "h.example");
    assert_string_equal(hosts[0].ip, "2001:db8::1");
    assert_string_equal(gitgate_extra_ip(&gate, "y.example"), "10.0.0.1");
    assert_null(gitgate_extra_ip(&gate, "example"));
}

static void unknown_fields_pass_from_the_api_server_and_not_from_a_file(void **state)
{
    json_auto_t *object = smallest();
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate gate = {0};

    (void)state;
    json_object_set_new(json_object_get(object, "spec"), "upstream", json_array());
    json_object_set_new(json_object_get(object, "metadata"), "managedFields", json_array());
    assert_int_equal(gitgate_decode(object, true, &gate, &problems), -EINVAL);
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.list[0].path, "spec.upstream");
    assert_string_equal(problems.list[0].message, "unknown field; did you mean \"upstreams\"?");
    assert_int_equal(gitgate_decode(object, false, &gate, &problems), 0);
}

/* Whatever a field is replaced with, decoding ends with problems or a gate, and leaks nothing. */
static void no_kind_of_value_in_any_place_breaks_decoding(void **state)
{
    static const char *const values[] = {
        "null", "true",   "0",    "-1",   "1.5",         "\"\"",        "[]",
        "{}",   "[null]", "[[]]", "[{}]", "{\"\":null}", "\"\\u0001\"", "9223372036854775807"};
    static const char *const places[] = {"apiVersion", "kind", "metadata", "spec", "status"};
    static const char *const spec_places[] = {"podSelector", "placement", "upstreams",
                                              "scan",        "network",   "gate"};
    static const char *const upstream_places[] = {"name",       "url",   "ssh", "http",
                                                  "extraHosts", "fetch", "push"};

    (void)state;
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (size_t p = 0; p < 5 + 6 + 7; p++) {
            json_auto_t *object = smallest();
            json_t *spec = json_object_get(object, "spec");
            json_t *upstream = json_array_get(json_object_get(spec, "upstreams"), 0);
            cleanup_problems struct problems problems = PROBLEMS_INIT;
            cleanup_gitgate struct gitgate gate = {0};
            json_t *value = json_loads(values[v], JSON_DECODE_ANY, NULL);
            int r;

            if (p < 5)
                json_object_set_new(object, places[p], value);
            else if (p < 11)
                json_object_set_new(spec, spec_places[p - 5], value);
            else
                json_object_set_new(upstream, upstream_places[p - 11], value);
            r = gitgate_decode(object, true, &gate, &problems);
            assert_int_equal(r, problems.total ? -EINVAL : 0);
        }
}

/* ---- golden cases: tests/cases/validate ---- */

#define CASE_MAX 65536

/* Decodes the case and gives its problems as `gitgate` prints them. */
static char *problems_of_file(const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    cleanup_buf struct buf text = BUF_INIT(CASE_MAX), out = BUF_INIT(CASE_MAX);
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_gitgate struct gitgate gate = {0};
    struct error err = ERROR_INIT;

    if (file_read(path, &text, &err) < 0 || yaml_parse(text.data, text.len, name, &file, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(file.n, 1);
    gitgate_decode(file.documents[0].root, true, &gate, &problems);
    yaml_locate(&file.documents[0], &problems);
    problems_print(&problems, name, &out);
    return buf_take(&out);
}

static void every_valid_case_decodes(void **state)
{
    glob_t cases;

    (void)state;
    assert_int_equal(glob("validate/valid/*.yaml", 0, NULL, &cases), 0);
    for (size_t i = 0; i < cases.gl_pathc; i++) {
        cleanup_free char *found = problems_of_file(cases.gl_pathv[i]);

        if (*found)
            fail_msg("%s", found);
    }
    globfree(&cases);
}

/* With GITGATE_UPDATE=1 the expected messages are written instead: read the diff. */
static void every_invalid_case_says_what_is_wrong_and_where(void **state)
{
    glob_t cases;

    (void)state;
    assert_int_equal(glob("validate/invalid/*.yaml", 0, NULL, &cases), 0);
    for (size_t i = 0; i < cases.gl_pathc; i++) {
        cleanup_free char *found = problems_of_file(cases.gl_pathv[i]);
        cleanup_buf struct buf expected = BUF_INIT(CASE_MAX), path = BUF_INIT(CASE_MAX);

        buf_add(&path, cases.gl_pathv[i], strlen(cases.gl_pathv[i]) - strlen("yaml"));
        buf_adds(&path, "err");
        if (getenv("GITGATE_UPDATE"))
            file_write(path.data, found, strlen(found), 0644, NULL);
        file_read(path.data, &expected, NULL);
        if (!*found || strcmp(found, expected.data) != 0)
            fail_msg("%s:\n%s\nexpected:\n%s", path.data, found, expected.data);
    }
    globfree(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_open_gets_the_safe_value),
        cmocka_unit_test(a_decoded_gate_decodes_again_to_the_same),
        cmocka_unit_test(an_ssh_upstream_has_its_key_and_pinned_host_keys),
        cmocka_unit_test(host_keys_that_ssh_would_not_take_are_refused),
        cmocka_unit_test(a_pushed_ref_pattern_matches_heads_and_tags_alone),
        cmocka_unit_test(extra_hosts_are_merged_once_each),
        cmocka_unit_test(unknown_fields_pass_from_the_api_server_and_not_from_a_file),
        cmocka_unit_test(no_kind_of_value_in_any_place_breaks_decoding),
        cmocka_unit_test(every_valid_case_decodes),
        cmocka_unit_test(every_invalid_case_says_what_is_wrong_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
