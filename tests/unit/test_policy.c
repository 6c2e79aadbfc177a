/* What a push may do is decided by the commands on the wire, and what can't be read is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "reason.h"

#define A "1111111111111111111111111111111111111111"
#define B "2222222222222222222222222222222222222222"
#define ZERO "0000000000000000000000000000000000000000"
#define A64 A "333333333333333333333333"
#define B64 B "333333333333333333333333"

static const char *all_refs[] = {"refs/heads/*", "refs/tags/*", NULL};

/* ---- commands ---- */

static void commands_are_read(void **state)
{
    static const char text[] =
        ZERO " " A " refs/heads/new\n" A " " B " refs/heads/main\n" B " " ZERO " refs/tags/old\n";
    cleanup_push struct push push = PUSH_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(push_parse(text, strlen(text), &push, &err), 0);
    assert_int_equal(push.n, 3);
    assert_int_equal(push.commands[0].change, CHANGE_CREATE);
    assert_int_equal(push.commands[1].change, CHANGE_UPDATE);
    assert_int_equal(push.commands[2].change, CHANGE_DELETE);
    assert_string_equal(push.commands[1].old_oid, A);
    assert_string_equal(push.commands[1].new_oid, B);
    assert_string_equal(push.commands[2].ref, "refs/tags/old");
}

static void sha256_is_read_too(void **state)
{
    static const char text[] = A64 " " B64 " refs/heads/main";
    cleanup_push struct push push = PUSH_INIT;

    (void)state;
    assert_int_equal(push_parse(text, strlen(text), &push, NULL), 0);
    assert_string_equal(push.commands[0].new_oid, B64);
}

static void what_is_no_command_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "x",
        A,
        A " ",
        A " " B,
        A " " B " ",
        A " " B "refs/heads/main",
        A " " B64 " refs/heads/main",
        ZERO " " ZERO " refs/heads/main",
        A "  " B " refs/heads/main",
        A "\t" B "\trefs/heads/main",
        "g" A " " B " refs/heads/main",
        A "1 " B " refs/heads/main",
        "111111111111111111111111111111111111111A " B " refs/heads/main",
        /* git-check-ref-format */
        A " " B " main",
        A " " B " HEAD",
        A " " B " refs/",
        A " " B " refs/heads/",
        A " " B " refs//heads/main",
        A " " B " refs/heads/.main",
        A " " B " refs/heads/a..b",
        A " " B " refs/heads/main.lock",
        A " " B " refs/heads/a.lock/b",
        A " " B " refs/heads/a b",
        A " " B " refs/heads/a~b",
        A " " B " refs/heads/a^",
        A " " B " refs/heads/a:b",
        A " " B " refs/heads/a?",
        A " " B " refs/heads/a*",
        A " " B " refs/heads/a[b",
        A " " B " refs/heads/a\\b",
        A " " B " refs/heads/a@{b",
        A " " B " refs/heads/main.",
        A " " B " refs/heads/a\x7f",
        A " " B " refs/heads/a\x01",
        A " " B " refs/heads/../../config",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cleanup_push struct push push = PUSH_INIT;
        struct error err = ERROR_INIT;

        if (push_parse(bad[i], strlen(bad[i]), &push, &err) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_true(*err.msg);
    }
}

static void nul_bytes_in_a_ref_are_refused(void **state)
{
    static const char text[] = A " " B " refs/heads/main\0/x";
    cleanup_push struct push push = PUSH_INIT;

    (void)state;
    assert_int_equal(push_parse(text, sizeof text - 1, &push, NULL), -EINVAL);
}

static void a_ref_named_twice_is_refused(void **state)
{
    static const char text[] = A " " B " refs/heads/main\n" A " " ZERO " refs/heads/main\n";
    cleanup_push struct push push = PUSH_INIT;

    (void)state;
    assert_int_equal(push_parse(text, strlen(text), &push, NULL), -EINVAL);
}

static void too_many_and_too_long_are_refused(void **state)
{
    cleanup_push struct push push = PUSH_INIT, one = PUSH_INIT;
    char *line = malloc(2 * PUSH_REF_MAX);
    int len;

    (void)state;
    for (int i = 0; i < PUSH_COMMANDS_MAX; i++) {
        len = sprintf(line, A " " B " refs/heads/%d", i);
        assert_int_equal(push_add(&push, line, (size_t)len, NULL), 0);
    }
    len = sprintf(line, A " " B " refs/heads/more");
    assert_int_equal(push_add(&push, line, (size_t)len, NULL), -E2BIG);
    len = sprintf(line, A " " B " refs/heads/%0*d/a", PUSH_COMPONENT_MAX + 1, 1);
    assert_int_equal(push_add(&one, line, (size_t)len, NULL), -EINVAL);
    len = sprintf(line, A " " B " refs/heads/%0*d/a", PUSH_COMPONENT_MAX, 1);
    assert_int_equal(push_add(&one, line, (size_t)len, NULL), 0);
    len = sprintf(line, A " " B " refs");
    while (len < PUSH_REF_MAX + 2 * OID_HEX_MAX)
        len += sprintf(line + len, "/%0*d", PUSH_COMPONENT_MAX, 1);
    assert_int_equal(push_add(&one, line, (size_t)len, NULL), -EINVAL);
    free(line);
}

/* ---- patterns ---- */

static void patterns_match_as_they_read(void **state)
{
    static const struct {
        const char *pattern, *ref;
        bool matches;
    } cases[] = {
        {"refs/heads/*", "refs/heads/main", true},
        {"refs/heads/*", "refs/heads/a/b/c", true},
        {"refs/heads/*", "refs/tags/v1", false},
        {"refs/heads/*", "refs/headsx", false},
        {"refs/heads/main", "refs/heads/main", true},
        {"refs/heads/main", "refs/heads/main2", false},
        {"refs/heads/main", "refs/heads/mai", false},
        {"refs/heads/a*b*c", "refs/heads/aXbYbZc", true},
        {"refs/heads/a*b*c", "refs/heads/aXbYbZ", false},
        {"refs/heads/**", "refs/heads/x", true},
        {"refs/heads/agent/$(POD_NAME)/*", "refs/heads/agent/pod-1/x", true},
        {"refs/heads/agent/$(POD_NAME)/*", "refs/heads/agent/pod-12/x", false},
        {"refs/heads/agent/$(POD_NAME)/*", "refs/heads/agent/pod-2/x", false},
        {"refs/heads/$(POD_NAMESPACE)-$(POD_NAME)", "refs/heads/team-pod-1", true},
        /* not known: matches nothing, not even itself */
        {"refs/heads/$(SERVICE_ACCOUNT)*", "refs/heads/x", false},
        {"refs/heads/$(SERVICE_ACCOUNT)*", "refs/heads/$(SERVICE_ACCOUNT)", false},
        {"refs/heads/$(OTHER)", "refs/heads/$(OTHER)", false},
        {"refs/heads/$x", "refs/heads/$x", false},
    };
    static const struct push_vars vars = {
        .pod_name = "pod-1", .pod_namespace = "team", .service_account = ""};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (pattern_matches(cases[i].pattern, cases[i].ref, &vars) != cases[i].matches)
            fail_msg("%s on %s", cases[i].pattern, cases[i].ref);
}

static void what_stands_in_a_variable_is_no_pattern(void **state)
{
    static const struct push_vars vars = {.pod_name = "*", .pod_namespace = "$(POD_NAME)"};

    (void)state;
    assert_false(pattern_matches("refs/heads/$(POD_NAME)", "refs/heads/main", &vars));
    assert_true(pattern_matches("refs/heads/$(POD_NAME)", "refs/heads/*", &vars));
    assert_false(pattern_matches("refs/heads/$(POD_NAMESPACE)", "refs/heads/*", &vars));
}

static void many_stars_on_a_long_ref_take_no_time(void **state)
{
    char pattern[512] = "refs/heads/", ref[PUSH_REF_MAX + 1] = "refs/heads/";

    (void)state;
    while (strlen(pattern) < sizeof pattern - 4)
        strcat(pattern, "a*");
    strcat(pattern, "b");
    memset(ref + 11, 'a', sizeof ref - 12);
    assert_false(pattern_matches(pattern, ref, &(struct push_vars){0}));
}

/* ---- verdicts ---- */

struct verdict_case {
    const char *line;
    bool allow_force, allow_delete;
    bool forced;
    const char *refused; /* part of the message; NULL: allowed */
};

static const struct verdict_case verdicts[] = {
    {ZERO " " A " refs/heads/x", false, false, false, NULL},
    {A " " B " refs/heads/x", false, false, false, NULL},
    {A " " B " refs/heads/x", false, false, true, "push.allowForce is false"},
    {A " " B " refs/heads/x", true, false, true, NULL},
    {A " " ZERO " refs/heads/x", false, false, false, "push.allowDelete is false"},
    {A " " ZERO " refs/heads/x", false, true, false, NULL},
    {A " " B " refs/tags/v1", false, false, true, "may not be moved"},
    {A " " B " refs/tags/v1", true, false, true, NULL},
    {A " " B " refs/heads/main", true, true, true, "default branch, which is never forced"},
    {A " " B " refs/heads/main", true, true, false, NULL},
    {A " " ZERO " refs/heads/main", true, true, false, "default branch, which is never deleted"},
    {ZERO " " A " refs/notes/commits", false, false, false,
     "allowed are refs/heads/*, refs/tags/*"},
    {ZERO " " A " refs/gitgate/backup", true, true, false, "may not be pushed to"},
    {ZERO " " A " refs/replace/" B, true, true, false, "may not be pushed to"},
    {ZERO " " A " refs/for/main", true, true, false, "may not be pushed to"},
};

static void verdicts_are_the_policy_s(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        const struct verdict_case *c = &verdicts[i];
        struct push_policy push_policy = {.allow = true,
                                          .refs = all_refs,
                                          .allow_force = c->allow_force,
                                          .allow_delete = c->allow_delete};
        struct policy policy = {.push = &push_policy, .default_ref = "refs/heads/main"};
        cleanup_push struct push push = PUSH_INIT;
        struct error err = ERROR_INIT;
        int r;

        assert_int_equal(push_add(&push, c->line, strlen(c->line), &err), 0);
        r = policy_judge(&policy, &push.commands[0], &err);
        if (r == 0 && c->forced && policy_needs_ancestry(&policy, &push.commands[0]))
            r = policy_judge_forced(&policy, &push.commands[0], &err);
        if ((r < 0) != (c->refused != NULL) || (c->refused && !strstr(err.msg, c->refused)))
            fail_msg("%s: %d %s", c->line, r, err.msg);
        if (r < 0)
            assert_non_null(strstr(err.msg, push.commands[0].ref));
    }
}

static void a_read_only_upstream_takes_nothing(void **state)
{
    struct push_policy push_policy = {.allow = false, .refs = all_refs, .allow_force = true};
    struct policy policy = {.push = &push_policy, .default_ref = ""};
    cleanup_push struct push push = PUSH_INIT;
    static const char line[] = ZERO " " A " refs/heads/x";

    (void)state;
    assert_int_equal(push_add(&push, line, strlen(line), NULL), 0);
    assert_int_equal(policy_judge(&policy, &push.commands[0], NULL), -EACCES);
}

static void a_pattern_outside_branches_and_tags_allows_nothing(void **state)
{
    static const char *refs[] = {"*", NULL};
    struct push_policy push_policy = {.allow = true, .refs = refs};
    struct policy policy = {.push = &push_policy, .default_ref = ""};
    cleanup_push struct push push = PUSH_INIT;
    static const char line[] = ZERO " " A " refs/notes/x";

    (void)state;
    assert_int_equal(push_add(&push, line, strlen(line), NULL), 0);
    assert_int_equal(policy_judge(&policy, &push.commands[0], NULL), -EACCES);
}

static void the_refusal_shows_what_a_variable_stands_for(void **state)
{
    static const char *refs[] = {"refs/heads/$(POD_NAME)/*", "refs/heads/$(SERVICE_ACCOUNT)", NULL};
    struct push_policy push_policy = {.allow = true, .refs = refs};
    struct policy policy = {.push = &push_policy, .default_ref = "", .vars = {.pod_name = "pod-1"}};
    cleanup_push struct push push = PUSH_INIT;
    struct error err = ERROR_INIT;
    static const char line[] = ZERO " " A " refs/heads/main";

    (void)state;
    assert_int_equal(push_add(&push, line, strlen(line), NULL), 0);
    assert_int_equal(policy_judge(&policy, &push.commands[0], &err), -EACCES);
    assert_non_null(strstr(err.msg, "refs/heads/pod-1/*"));
    assert_non_null(strstr(err.msg, "not known here"));
}

static void a_terminal_is_not_written_to(void **state)
{
    cleanup_buf struct buf text = BUF_INIT(64);

    (void)state;
    printable(&text, "a\x1b[2Jb\r\n\xc3\xa9", 10);
    assert_string_equal(text.data, "a?[2Jb????");
}

/* ---- reasons ---- */

static void git_s_words_become_a_reason(void **state)
{
    static const struct {
        const char *said, *reason;
    } cases[] = {
        {"ssh: Could not resolve hostname git.example.com: Name or service not known",
         "the name git.example.com can't be resolved"},
        {"ssh: connect to host 10.0.0.1 port 22: Connection refused\nfatal: Could not read from "
         "remote repository.",
         "git.example.com refused the connection"},
        {"Host key verification failed.", "spec.upstreams[3].ssh.knownHostKeys"},
        {"git@git.example.com: Permission denied (publickey).", "refused the key"},
        {"fatal: '/srv/app.git' does not appear to be a git repository", "no such repository"},
        {"fatal: unable to access 'https://git.example.com/a/': The requested URL returned error: "
         "302",
         "redirects this repository"},
        {"The requested URL returned error: 401", "asks for a credential"},
        {"The requested URL returned error: 503", "out of order"},
        {"server certificate verification failed. CAfile: none CRLfile: none", "not trusted"},
        {"fatal: write error: No space left on device", "the gate's disk is full"},
        {"ssh: fatal: write error: No space left on device", "could not talk"},
        {"fatal: remote error: so it is\nerror: No space left on device", "could not talk"},
        {"remote: Host key verification failed.\nremote: Load key: invalid", "could not talk"},
        {"remote: Repository not found.", "no such repository"},
        {"fatal: fetch-pack: invalid index-pack output\n",
         "git was killed: most likely this takes"},
        {"error: --shallow-file died of signal 9\nfatal: unpack-objects failed", "git was killed"},
        {"fatal: early EOF\nfatal: fetch-pack: invalid index-pack output", "could not talk"},
        {"remote: error: pack-objects died of signal 9\nfatal: protocol error: bad pack header",
         "could not talk"},
        {"something new in /git/app.git", "could not talk to git.example.com"},
        {"", "could not talk to git.example.com"},
    };
    const char *keys[] = {"ssh-ed25519 AAAA", NULL};
    struct upstream upstream = {.url = {.host = "git.example.com"}, .known_host_keys = keys};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_proc struct proc_result result = PROC_RESULT_INIT(0, 4096);
        cleanup_buf struct buf reason = BUF_INIT(1024);

        buf_adds(&result.err, cases[i].said);
        reason_add(&reason, &upstream, 3, &result);
        if (!strstr(reason.data, cases[i].reason) || strchr(reason.data, '/'))
            fail_msg("%s: %s", cases[i].said, reason.data);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_read),
        cmocka_unit_test(sha256_is_read_too),
        cmocka_unit_test(what_is_no_command_is_refused),
        cmocka_unit_test(nul_bytes_in_a_ref_are_refused),
        cmocka_unit_test(a_ref_named_twice_is_refused),
        cmocka_unit_test(too_many_and_too_long_are_refused),
        cmocka_unit_test(patterns_match_as_they_read),
        cmocka_unit_test(what_stands_in_a_variable_is_no_pattern),
        cmocka_unit_test(many_stars_on_a_long_ref_take_no_time),
        cmocka_unit_test(verdicts_are_the_policy_s),
        cmocka_unit_test(a_read_only_upstream_takes_nothing),
        cmocka_unit_test(a_pattern_outside_branches_and_tags_allows_nothing),
        cmocka_unit_test(the_refusal_shows_what_a_variable_stands_for),
        cmocka_unit_test(a_terminal_is_not_written_to),
        cmocka_unit_test(git_s_words_become_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
