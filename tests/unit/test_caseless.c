/* Where case does not count the gate's finder reads as gitleaks does, which is written in Go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "scan/caseless.h"

#define KELVIN "\xe2\x84\xaa"
#define LONG_S "\xc5\xbf"

static bool odd(const char *text)
{
    return caseless_odd(text, text + strlen(text));
}

static void expect_folded(const char *text, const char *expected)
{
    cleanup_buf struct buf folded = BUF_INIT(4096);

    caseless_fold(text, text + strlen(text), &folded);
    assert_string_equal(folded.data, expected);
}

static void the_kelvin_sign_is_a_k_and_the_long_s_an_s(void **state)
{
    (void)state;
    expect_folded("a to" KELVIN "en", "a token");
    expect_folded(LONG_S LONG_S "h-" KELVIN "ey" LONG_S, "ssh-keys");
    expect_folded(KELVIN LONG_S KELVIN, "ksk");
    expect_folded("nothing", "nothing");
    expect_folded("", "");
}

static void half_of_a_letter_is_none(void **state)
{
    (void)state;
    expect_folded("a\xe2\x84", "a\xe2\x84");
    expect_folded("\xe2\xe2\x84\xaa", "\xe2k");
    expect_folded("\xc5\xc5\xbf\xc5", "\xc5s\xc5");
}

static void one_such_letter_in_a_row_of_text_counts_and_in_what_is_binary_does_not(void **state)
{
    (void)state;
    assert_true(odd("the to" KELVIN "en of it"));
    assert_true(odd("the pa" LONG_S "sword of it"));
    assert_false(odd("the token of it"));
    assert_false(odd("\x01\x02" KELVIN "\x03\x04" LONG_S "\x05"));
}

static void a_word_is_found_where_it_stands_first_whatever_its_case(void **state)
{
    static const char text[] = "tok TOKE a ToKen and a token";
    size_t len = sizeof text - 1;

    (void)state;
    assert_int_equal(caseless_find(text, 0, len, "token"), 11);
    assert_int_equal(caseless_find(text, 12, len, "token"), 23);
    assert_int_equal(caseless_find(text, 24, len, "token"), len);
    /* It has to end before `to`. */
    assert_int_equal(caseless_find(text, 0, 15, "token"), 15);
    assert_int_equal(caseless_find(text, 0, 16, "token"), 11);
    assert_int_equal(caseless_find(text, 0, 0, "token"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kelvin_sign_is_a_k_and_the_long_s_an_s),
        cmocka_unit_test(half_of_a_letter_is_none),
        cmocka_unit_test(one_such_letter_in_a_row_of_text_counts_and_in_what_is_binary_does_not),
        cmocka_unit_test(a_word_is_found_where_it_stands_first_whatever_its_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
