/* What is compared of two repositories is their refs, and nothing else that a list holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "mirror/refs.h"

#define A "1111111111111111111111111111111111111111"
#define B "2222222222222222222222222222222222222222"

static struct refs parse(const char *list)
{
    struct refs refs = REFS_INIT(65536);
    struct error err = ERROR_INIT;
    char text[1024];

    strcpy(text, list);
    assert_int_equal(refs_parse(text, &refs, &err), 0);
    return refs;
}

static void a_list_is_its_refs_in_order(void **state)
{
    struct refs refs CLEANUP(refs_done) = parse(
        "ref: refs/heads/main\tHEAD\n" A "\tHEAD\n" B "\trefs/tags/v1\n" A "\trefs/tags/v1^{}\n" A
        "\trefs/gitgate/backup/1\n" A "\trefs/gitgate\n" A "\trefs/heads/main\n"
        "no ref\n" A "\tODD_HEAD\n");

    (void)state;
    assert_int_equal(refs.n, 2);
    assert_string_equal(refs.lines[0], "refs/heads/main " A);
    assert_string_equal(refs.lines[1], "refs/tags/v1 " B);
    assert_string_equal(refs.head, "refs/heads/main");
    assert_string_equal(refs.head_oid, A);
}

static void what_git_would_not_fetch_is_left_out(void **state)
{
    struct refs refs CLEANUP(refs_done) = parse(A "\trefs/heads/a b\n" A "\trefs/heads/\x0e\n" A
                                                  "\trefs/heads/a\x7f\n" A "\trefs/heads/a\tb\n");

    (void)state;
    assert_int_equal(refs.n, 0);
}

static void order_and_line_ends_make_no_difference(void **state)
{
    struct refs a CLEANUP(refs_done) = parse(A "\trefs/heads/a\n" B "\trefs/heads/b\n");
    struct refs b CLEANUP(refs_done) = parse(B "\trefs/heads/b\n" A "\trefs/heads/a");
    struct refs moved CLEANUP(refs_done) = parse(A "\trefs/heads/a\n" A "\trefs/heads/b\n");
    struct refs fewer CLEANUP(refs_done) = parse(A "\trefs/heads/a\n");

    (void)state;
    assert_true(refs_equal(&a, &b));
    assert_false(refs_equal(&a, &moved));
    assert_false(refs_equal(&a, &fewer));
}

static void assert_gone(const char *mine, const char *theirs, size_t n, const char *commands,
                        size_t len)
{
    struct refs a CLEANUP(refs_done) = parse(mine);
    struct refs b CLEANUP(refs_done) = parse(theirs);
    cleanup_buf struct buf to = BUF_INIT(65536);

    assert_int_equal(refs_delete_gone(&a, &b, &to), n);
    assert_int_equal(to.len, len);
    assert_memory_equal(to.data, commands, len);
}

static void what_is_gone_is_told_by_name_alone(void **state)
{
    static const char one[] = "delete refs/heads/a\0\0delete refs/heads/a-b\0\0";

    (void)state;
    assert_gone(A "\trefs/heads/a\n", B "\trefs/heads/a\n", 0, "", 0);
    assert_gone(A "\trefs/heads/a\n" A "\trefs/heads/a-b\n" A "\trefs/heads/c\n",
                B "\trefs/heads/a.b\n" B "\trefs/heads/a/b\n" B "\trefs/heads/c\n", 2, one,
                sizeof one - 1);
    assert_gone(A "\trefs/heads/a\n" A "\trefs/heads/a-b\n", "", 2, one, sizeof one - 1);
}

static void what_stays_left_out_is_told_from_what_moved(void **state)
{
    struct refs before CLEANUP(refs_done) =
        parse(A "\trefs/heads/a\n" A "\trefs/heads/b\n" A "\trefs/odd/c\n");
    struct refs moved CLEANUP(refs_done) = parse(B "\trefs/heads/a\n" A "\trefs/heads/b\n");
    struct refs mine CLEANUP(refs_done) = parse(B "\trefs/heads/b\n");

    (void)state;
    assert_null(refs_left_out(&before, &before, &before));
    assert_null(refs_left_out(&before, &moved, &moved));
    assert_string_equal(refs_left_out(&before, &moved, &mine), "refs/heads/b " A);
    assert_string_equal(refs_left_out(&before, &before, &moved), "refs/heads/a " A);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_its_refs_in_order),
        cmocka_unit_test(what_git_would_not_fetch_is_left_out),
        cmocka_unit_test(order_and_line_ends_make_no_difference),
        cmocka_unit_test(what_is_gone_is_told_by_name_alone),
        cmocka_unit_test(what_stays_left_out_is_told_from_what_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
