/* What Go's regular expressions match, the rewritten ones match too, byte by byte; how far a match
 * reaches is never underestimated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "data/expression.h"

static void expect(const char *text, const char *expected)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;
    struct error err = ERROR_INIT;

    if (expression_parse(text, EXPRESSION_EXACT, &found, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    if (strcmp(found.text.data, expected) != 0)
        fail_msg("%s\nbecame:   %s\nexpected: %s", text, found.text.data, expected);
}

static void refused(const char *text, const char *why)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(expression_parse(text, EXPRESSION_EXACT, &found, &err), -22);
    if (strcmp(err.msg, why) != 0)
        fail_msg("%s\nis refused with: %s\nexpected:        %s", text, err.msg, why);
}

static void expect_as(enum expression_form form, const char *text, const char *expected)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;

    assert_int_equal(expression_parse(text, form, &found, NULL), 0);
    assert_string_equal(found.text.data, expected);
}

static struct reach reach_of(const char *text)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;

    assert_int_equal(expression_parse(text, EXPRESSION_EXACT, &found, NULL), 0);
    return found.reach;
}

static void characters_of_several_bytes_count_as_bytes(void **state)
{
    (void)state;
    expect("a.b", "a[\\x00-\\x09\\x0b-\\xff]{1,4}b");
    expect("[^\"]{3,5}", "[\\x00-\\x21\\x23-\\xff]{3,20}");
    expect("\\S{2}", "[\\x00-\\x08\\x0b\\x0e-\\x1f\\x21-\\xff]{2,8}");
    expect("[é]", "[\\x80-\\xff]{1,4}");
    expect("é?", "(?:\\xc3\\xa9){0,1}");
    expect("(?s:.)*", "(?-im:[\\x00-\\xff]{1,4}){0,}");
}

static void what_the_two_read_differently_is_gone(void **state)
{
    (void)state;
    expect("(?P<key>a+?)", "(?-im:a{1,})");
    expect("(?U)a*", "(?-im:a{0,})");
    expect("x{,2}", "x\\x7b\\x2c2\\x7d");
    expect("\\Qa.b\\Ec", "a\\x2ebc");
    expect("\\101\\x{41}", "AA");
    expect("[[:digit:]\\-]", "[\\x2d\\x30-\\x39]");
    expect("[]a]", "[\\x5d\\x61]");
}

static void case_counts_where_it_does_in_go(void **state)
{
    (void)state;
    expect("a(?i)b|c", "a(?i-m:b)|(?i-m:c)");
    expect("(?i:a(?-i)b)c", "(?i-m:a(?-im:b))c");
    expect("(?i)[a-c]", "(?i-m:[\\x41-\\x43\\x61-\\x63])");
}

static void ends_of_the_text_are_a_lines(void **state)
{
    (void)state;
    expect("^a$\\z", "^a$\\z");
    expect_as(EXPRESSION_LINES, "^a$\\z", "(?m:^)a(?m:$)(?m:$)");
    expect_as(EXPRESSION_LINES, "(?m)^a\\b", "(?m-i:(?m:^)a\\b)");
}

/* A NUL byte is behind a path, and nothing in the pattern matches it but the path's end. */
static void the_end_of_a_path_is_a_nul_byte(void **state)
{
    (void)state;
    expect_as(EXPRESSION_PATH, "^a$\\z", "^a\\x00\\x00");
    expect_as(EXPRESSION_PATH, "(?m)a$", "(?m-i:a(?:$|\\x00))");
    expect_as(EXPRESSION_PATH, "[^a]\\D",
              "[\\x01-\\x60\\x62-\\xff]{1,4}[\\x01-\\x2f\\x3a-\\xff]{1,4}");
    expect_as(EXPRESSION_PATH, ".", "[\\x01-\\x09\\x0b-\\xff]{1,4}");
}

/* Such a rule is refused, and not merely slow: nowhere would it find anything. */
static void the_start_of_all_text_is_told_apart(void **state)
{
    static const char *const texts[] = {"\\Aa", "(?-m)^a", "(?i-ms:^a)"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cleanup_expression struct expression found = EXPRESSION_INIT;

        assert_int_equal(expression_parse(texts[i], EXPRESSION_EXACT, &found, NULL), -ENOTSUP);
    }
}

static void what_go_refuses_is_refused(void **state)
{
    (void)state;
    refused("(?=a)", "has a group \"(?\" that gitleaks does not know (it can't look ahead)");
    refused("(?<!a)b", "looks behind, which gitleaks can't");
    refused("(a)\\1", "refers back to a group (\\1), which gitleaks can't");
    refused("a**", "repeats a repetition (\"a**\")");
    refused("a{2}+", "repeats a repetition (\"a**\")");
    refused("a{1001}", "repeats something more than 1000 times, or from more to less");
    refused("*a", "has a \"*\", \"+\" or \"?\" with nothing before it");
    refused("(a", "has a \"(\" that is not closed");
    refused("a)", "has a \")\" that was not opened");
    refused("[a", "has a \"[\" that is not closed");
    refused("[z-a]", "has a range in a class whose end comes before its start");
    refused("\\y", "has an escape that gitleaks does not know");
    refused("a\\", "has an escape that gitleaks does not know");
    refused("\xff", "is not UTF-8");
    refused("[^\\x00-\\x{10ffff}&&]x(?i)é",
            "has letters beyond ASCII whose case does not count (?i)");
}

static void a_reach_is_never_too_short(void **state)
{
    struct reach reach = reach_of("key[ \\t]{0,20}=[\\s]{0,3}[a-f0-9]{32}");

    (void)state;
    assert_int_equal(reach.bytes, 3 + 20 + 1 + 3 + 32);
    assert_int_equal(reach.lines, 3);

    reach = reach_of("ab[a-z0-9]{20,}c|.{7}");
    assert_int_equal(reach.bytes, 28);
    assert_int_equal(reach.lines, 0);
    assert_true(byte_set_has(&reach.runs, 'q') && !byte_set_has(&reach.runs, 'A'));

    assert_int_equal(reach_of("BEGIN[\\s\\S]{64,}?END").lines, EXPRESSION_UNBOUNDED);
    assert_int_equal(reach_of("(?:a\nb){3}").lines, 3);
}

static void widened_nothing_is_left_that_the_engine_refuses_in_the_midst(void **state)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;

    (void)state;
    assert_int_equal(expression_parse("a^b|(?:c$|\\b)*d\\z", EXPRESSION_WIDENED, &found, NULL), 0);
    assert_string_equal(found.text.data, "ab|(?-im:c|){0,}d");
    expect("ax{0}b", "ab");
    expect("\\Qa+\\E*", "a\\x2b{0,}");
}

static void what_matches_the_empty_text_is_no_rule(void **state)
{
    static const char *const empty[] = {"",   "a*",       "^",    "\\b$",
                                        "a|", "(?:a|b?)", "a{0}", "(?:a?){3}"};
    static const char *const not [] = {"a", "^a*b", "a|b", "(?:a|bc)+", "[x]{2}"};
    cleanup_expression struct expression found = EXPRESSION_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
        assert_int_equal(expression_parse_rule(empty[i], EXPRESSION_EXACT, &found, NULL), -22);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        assert_int_equal(expression_parse_rule(not [i], EXPRESSION_EXACT, &found, NULL), 0);
}

static void size_is_bounded(void **state)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;

    (void)state;
    assert_int_equal(expression_parse("(?:ab|.){10}c{2,}", EXPRESSION_EXACT, &found, NULL), 0);
    assert_int_equal(found.size, (2 + 4) * 10 + 2);
    refused("(?:[a-z]{99}b){10}(?:[a-z]{99}b){10}(?:[a-z]{99}b){10}c",
            "is too large: with its repetitions it describes more than 3000 bytes");
    refused("(?:x{100}){11}",
            "repeats something more than 1000 times by repetitions in one another");
}

static void depth_is_bounded(void **state)
{
    char text[1000] = "";

    (void)state;
    memset(text, '(', 400);
    refused(text, "has too many groups in one another");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_several_bytes_count_as_bytes),
        cmocka_unit_test(what_the_two_read_differently_is_gone),
        cmocka_unit_test(case_counts_where_it_does_in_go),
        cmocka_unit_test(ends_of_the_text_are_a_lines),
        cmocka_unit_test(the_end_of_a_path_is_a_nul_byte),
        cmocka_unit_test(the_start_of_all_text_is_told_apart),
        cmocka_unit_test(what_go_refuses_is_refused),
        cmocka_unit_test(a_reach_is_never_too_short),
        cmocka_unit_test(widened_nothing_is_left_that_the_engine_refuses_in_the_midst),
        cmocka_unit_test(what_matches_the_empty_text_is_no_rule),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(depth_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
