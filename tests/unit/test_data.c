/* lib/data: tables decode what they say, and every problem is told with its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "data/base64.h"
#include "data/decode.h"
#include "data/problems.h"

struct part {
    const char *name;
    uint64_t weight;
};

struct thing {
    const char *title;
    bool on, open;
    int colour;
    uint64_t count, bytes, ms;
    const char *size;
    const char **words;
    json_t *labels, *inner;
    struct part *parts;
    size_t n_parts;
};

static const char *const colours[] = {"Red", "Green", "Blue", NULL};
static const char *const closed_open[] = {"Closed", "Open", NULL};

static int check_no_x(const char *text, struct error *err)
{
    return strchr(text, 'x') ? error_set(err, -EINVAL, "must not hold an x") : 0;
}

static const struct field part_fields[] = {
    FIELD("name", STRING, FIELD_AT(struct part, name), .flags = FIELD_REQUIRED),
    FIELD("weight", INTEGER, FIELD_AT(struct part, weight), .value = "1", .min = 1, .max = 9),
    FIELD_END,
};

static const struct field inner_fields[] = {
    FIELD("bytes", BYTES, FIELD_AT(struct thing, bytes), .value = "\"1Ki\"", .max = 4096),
    FIELD("size", QUANTITY, FIELD_AT(struct thing, size)),
    FIELD("wait", DURATION, FIELD_AT(struct thing, ms), .max = 60000),
    FIELD_END,
};

static const struct field fields[] = {
    FIELD("title", STRING, FIELD_AT(struct thing, title), .flags = FIELD_REQUIRED, .max = 10,
          .check = check_no_x),
    FIELD("on", BOOL, FIELD_AT(struct thing, on)),
    FIELD("door", SWITCH, FIELD_AT(struct thing, open), .choices = closed_open),
    FIELD("colour", CHOICE, FIELD_AT(struct thing, colour), .value = "\"Green\"",
          .choices = colours),
    FIELD("count", INTEGER, FIELD_AT(struct thing, count)),
    FIELD("words", STRINGS, FIELD_AT(struct thing, words), .value = "[\"a\"]", .max = 3,
          .check = check_no_x),
    FIELD("labels", MAP, FIELD_AT(struct thing, labels), .check_key = check_no_x),
    FIELD("inner", OBJECT, FIELD_AT(struct thing, inner), .value = "{}", .fields = inner_fields),
    FIELD("parts", ARRAY, FIELD_AT(struct thing, parts), .fields = part_fields, .max = 2,
          .item_size = sizeof(struct part), .count_offset = FIELD_AT(struct thing, n_parts)),
    FIELD_END,
};

static void thing_done(struct thing *thing)
{
    free(thing->words);
    free(thing->parts);
}

/* Decodes `text`, gives the problems as printed. */
static char *problems_of(const char *text, bool strict)
{
    json_auto_t *object = json_loads(text, 0, NULL);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    struct thing thing = {0};
    int r;

    assert_non_null(object);
    r = decode_object(object, fields, strict, &thing, &problems);
    assert_int_equal(r, problems.total ? -EINVAL : 0);
    thing_done(&thing);
    problems_print(&problems, NULL, &out);
    return buf_take(&out);
}

static void expect_problems(const char *text, const char *expected)
{
    cleanup_free char *found = problems_of(text, true);

    assert_string_equal(found, expected);
}

static void values_reach_their_places_and_defaults_the_object(void **state)
{
    json_auto_t *object =
        json_loads("{\"title\":\"t\",\"on\":true,\"door\":\"Open\",\"colour\":\"Blue\","
                   "\"count\":7,\"labels\":{\"k\":\"v\"},\"inner\":{\"size\":5,\"wait\":\"2s\"},"
                   "\"parts\":[{\"name\":\"p\"},{\"name\":\"q\",\"weight\":9}],\"words\":null}",
                   0, NULL);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct thing thing = {0};

    (void)state;
    assert_int_equal(decode_object(object, fields, true, &thing, &problems), 0);
    assert_string_equal(thing.title, "t");
    assert_true(thing.on && thing.open);
    assert_int_equal(thing.colour, 2);
    assert_int_equal(thing.count, 7);
    assert_int_equal(thing.bytes, 1024);
    assert_int_equal(thing.ms, 2000);
    assert_string_equal(thing.size, "5");
    assert_string_equal(thing.words[0], "a");
    assert_null(thing.words[1]);
    assert_int_equal(json_object_size(thing.labels), 1);
    assert_int_equal(thing.n_parts, 2);
    assert_string_equal(thing.parts[1].name, "q");
    assert_int_equal(thing.parts[0].weight, 1);
    assert_int_equal(thing.parts[1].weight, 9);
    assert_string_equal(json_string_value(json_object_get(thing.inner, "bytes")), "1Ki");
    assert_true(json_is_array(json_object_get(object, "words")));
    thing_done(&thing);
}

static void all_problems_are_told_at_once_with_their_paths(void **state)
{
    (void)state;
    expect_problems(
        "{\"on\":\"yes\",\"door\":\"Ajar\",\"colour\":\"Pink\",\"count\":-1,"
        "\"words\":[\"fox\",1],\"labels\":{\"a.x/b\":\"v\",\"k\":true},"
        "\"inner\":{\"bytes\":\"5Ki\",\"size\":\"big\",\"wait\":\"soon\",\"wai\":1},"
        "\"parts\":[{\"name\":\"\"},{\"weight\":10}],\"hue\":1}",
        "title: is required\n"
        "on: must be true or false, not a string\n"
        "door: must be Closed or Open\n"
        "colour: must be Red, Green or Blue\n"
        "count: must not be negative\n"
        "words[0]: must not hold an x\n"
        "words[1]: must be a string, not a number\n"
        "labels[a.x/b]: must not hold an x\n"
        "labels[k]: must be a string, not true or false\n"
        "inner.bytes: must lie between 0 and 4096 bytes\n"
        "inner.size: must be a quantity of bytes: digits with Ki, Mi, Gi, Ti, k, M, G or T behind "
        "them (\"512Mi\")\n"
        "inner.wait: must be a duration in whole h, m, s or ms (\"120s\", \"1h30m\")\n"
        "inner.wai: unknown field; did you mean \"wait\"?\n"
        "parts[0].name: must not be empty\n"
        "parts[1].name: is required\n"
        "parts[1].weight: must lie between 1 and 9\n"
        "hue: unknown field\n");
}

static void wrong_kinds_and_sizes_are_told_not_followed(void **state)
{
    (void)state;
    expect_problems("[]", "must be an object, not a list\n");
    expect_problems("{\"title\":\"01234567890\",\"words\":[\"1\",\"2\",\"3\",\"4\"],"
                    "\"inner\":[],\"parts\":[1],\"labels\":[]}",
                    "title: is longer than 10 bytes\n"
                    "words: has 4 items; at most 3 are allowed\n"
                    "labels: must be an object with strings as values, not a list\n"
                    "inner: must be an object, not a list\n"
                    "parts[0]: must be an object, not a number\n");
}

static void quotes_and_control_characters_are_refused(void **state)
{
    (void)state;
    expect_problems("{\"title\":\"a'b\"}", "title: holds a control character or a single quote, "
                                           "which is never allowed here\n");
    expect_problems("{\"title\":\"a\\nb\"}", "title: holds a control character or a single quote, "
                                             "which is never allowed here\n");
}

static void unknown_fields_pass_when_not_strict(void **state)
{
    cleanup_free char *found = problems_of("{\"title\":\"t\",\"hue\":1}", false);

    (void)state;
    assert_string_equal(found, "");
}

static void more_problems_than_the_cap_are_still_a_failure(void **state)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    json_auto_t *object = json_object();
    struct thing thing = {0};

    (void)state;
    for (size_t i = 0; i < PROBLEMS_MAX; i++)
        problems_add(&problems, "", "%zu", i);
    assert_int_equal(decode_object(object, fields, true, &thing, &problems), -EINVAL);
    assert_int_equal(problems.n, PROBLEMS_MAX);
    problems_print(&problems, "f", &out);
    assert_non_null(strstr(out.data, "... and 1 more\n"));
    thing_done(&thing);
}

static void what_was_read_reaches_a_terminal_only_as_text(void **state)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    char huge[5000];

    (void)state;
    problems_add(&problems, "a\x1b[2J", "b\r\nc\x7f");
    problems_add(&problems,
                 "a\xc2\x9b"
                 "2J",
                 "caf\u00e9");
    memset(huge, 'h', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    problems_add(&problems, huge, "%s", huge);
    problems_print(&problems, "f.yaml", &out);
    assert_memory_equal(out.data, "f.yaml: a?[2J: b??c?\nf.yaml: a??2J: caf\u00e9\n", 42);
    assert_true(out.len < 1500);
}

static void base64_is_strict(void **state)
{
    static const char *const wrong[] = {"a",    "ab",     "abc",      "a===", "====", "ab=c",
                                        "ab c", "YWJj\n", "YWI=YWJj", "ab-_", "é==="};
    cleanup_buf struct buf b = BUF_INIT(16);

    (void)state;
    base64_encode("\0\1\2\3", 4, &b);
    assert_string_equal(b.data, "AAECAw==");
    buf_reset(&b);
    base64_encode("\xfb\xff\xbe?", 4, &b);
    base64_encode("", 0, &b);
    base64_encode("ab", 2, &b);
    assert_string_equal(b.data, "+/++Pw==YWI=");
    buf_reset(&b);
    assert_int_equal(base64_decode("AAECAw==", 8, &b), 0);
    assert_int_equal(b.len, 4);
    assert_memory_equal(b.data, "\0\1\2\3", 5);
    buf_reset(&b);
    assert_int_equal(base64_decode("", 0, &b), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(base64_decode("+/++Pw==", 8, &b), 0);
    assert_int_equal(base64_decode("YWI=", 4, &b), 0);
    assert_string_equal(b.data, "\xfb\xff\xbe?ab");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), &b), -EINVAL);
    assert_int_equal(base64_decode("AAAAAAAAAAAAAAAAAAAAAAAA", 24, &b), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_reach_their_places_and_defaults_the_object),
        cmocka_unit_test(all_problems_are_told_at_once_with_their_paths),
        cmocka_unit_test(wrong_kinds_and_sizes_are_told_not_followed),
        cmocka_unit_test(quotes_and_control_characters_are_refused),
        cmocka_unit_test(unknown_fields_pass_when_not_strict),
        cmocka_unit_test(more_problems_than_the_cap_are_still_a_failure),
        cmocka_unit_test(what_was_read_reaches_a_terminal_only_as_text),
        cmocka_unit_test(base64_is_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
