/* Of each ref of a push it is known what came of it, or known that it isn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pushed.h"

#define OLD "1111111111111111111111111111111111111111"
#define NEW "2222222222222222222222222222222222222222"
#define OTHER "3333333333333333333333333333333333333333"
#define NONE "0000000000000000000000000000000000000000"

/* Two updates and a deletion. */
static int make_push(void **state)
{
    static struct push push;
    struct error err = ERROR_INIT;
    static const char *const lines[] = {OLD " " NEW " refs/heads/a", NONE " " NEW " refs/heads/b",
                                        OLD " " NONE " refs/heads/c"};

    push = PUSH_INIT;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(push_add(&push, lines[i], strlen(lines[i]), &err), 0);
    *state = &push;
    return 0;
}

static int free_push(void **state)
{
    push_done(*state);
    return 0;
}

static void assert_states(const struct pushed each[3], enum pushed_state a, enum pushed_state b,
                          enum pushed_state c)
{
    assert_int_equal(each[0].state, a);
    assert_int_equal(each[1].state, b);
    assert_int_equal(each[2].state, c);
}

static void each_ref_has_its_own_word(void **state)
{
    struct pushed each[3] = {0};

    pushed_read(*state,
                "To ssh://git@host/app.git\n"
                " \t" NEW "^{object}:refs/heads/a\t1111111..2222222\n"
                "!\t" NEW "^{object}:refs/heads/b\t[remote rejected] (hook (ours) declined)\n"
                "-\t:refs/heads/c\t[deleted]\n"
                "Done\n",
                each);
    assert_states(each, PUSHED_TAKEN, PUSHED_REFUSED, PUSHED_TAKEN);
    assert_string_equal(each[0].reason, "");
    assert_string_equal(each[1].reason, "upstream: ours) declined");
    assert_false(pushed_all(*state, each));
}

static void a_broken_lease_is_told_as_what_it_is(void **state)
{
    struct pushed each[3] = {0};

    pushed_read(*state, "!\t" NEW "^{object}:refs/heads/a\t[rejected] (stale info)\n", each);
    assert_int_equal(each[0].state, PUSHED_REFUSED);
    assert_non_null(strstr(each[0].reason, "moved meanwhile"));
}

static void what_has_no_word_is_unknown(void **state)
{
    static const char *const answers[] = {
        "",
        "Everything up-to-date\n",
        "!\t" NEW "^{object}:refs/heads/a\t[remote failure] (remote failed to report status)\n",
        "!\tx:refs/heads/other\t[rejected]\n",
        "!\trefs/heads/a\n",
        "=\t:\t\n",
        "!",
    };

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct pushed each[3] = {0};

        pushed_read(*state, answers[i], each);
        assert_states(each, PUSHED_UNKNOWN, PUSHED_UNKNOWN, PUSHED_UNKNOWN);
        assert_false(pushed_all(*state, each));
    }
}

static void the_upstreams_refs_settle_it(void **state)
{
    struct pushed each[3] = {0};

    pushed_settle(*state,
                  NEW "\trefs/heads/a\n" OTHER "\trefs/heads/b\n" NEW "\trefs/x/refs/heads/b\n",
                  "it broke", each);
    assert_states(each, PUSHED_TAKEN, PUSHED_REFUSED, PUSHED_TAKEN);
    assert_non_null(strstr(each[1].reason, "it broke; the upstream has not got this so far"));
}

/* What was sent twice was refused the second time. */
static void the_upstreams_refs_count_more_than_a_refusal(void **state)
{
    struct pushed each[3] = {{PUSHED_REFUSED, "upstream: failed to update ref"},
                             {PUSHED_REFUSED, "upstream: hook declined"},
                             {PUSHED_REFUSED, "upstream: failed to update ref"}};

    pushed_settle(*state, NEW "\trefs/heads/a\n", "it broke", each);
    assert_states(each, PUSHED_TAKEN, PUSHED_REFUSED, PUSHED_TAKEN);
    assert_string_equal(each[1].reason, "upstream: hook declined");
    pushed_read(*state, " \t" NEW "^{object}:refs/heads/b\t[new branch]\n", each);
    assert_true(pushed_all(*state, each));
}

static void a_branch_that_is_still_there_was_not_deleted(void **state)
{
    struct pushed each[3] = {0};

    pushed_settle(*state, OLD "\trefs/heads/a\n" OLD "\trefs/heads/c", "it broke", each);
    assert_states(each, PUSHED_REFUSED, PUSHED_REFUSED, PUSHED_REFUSED);
}

static void an_upstream_that_cant_be_asked_settles_nothing_as_taken(void **state)
{
    struct pushed each[3] = {{.state = PUSHED_TAKEN}};

    pushed_settle(*state, NULL, "it broke", each);
    assert_states(each, PUSHED_TAKEN, PUSHED_REFUSED, PUSHED_REFUSED);
    assert_non_null(strstr(each[2].reason, "can't be told"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_ref_has_its_own_word),
        cmocka_unit_test(a_broken_lease_is_told_as_what_it_is),
        cmocka_unit_test(what_has_no_word_is_unknown),
        cmocka_unit_test(the_upstreams_refs_settle_it),
        cmocka_unit_test(the_upstreams_refs_count_more_than_a_refusal),
        cmocka_unit_test(a_branch_that_is_still_there_was_not_deleted),
        cmocka_unit_test(an_upstream_that_cant_be_asked_settles_nothing_as_taken),
    };

    return cmocka_run_group_tests(tests, make_push, free_push);
}
