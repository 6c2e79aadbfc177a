/* JSON read in place: what is taken, what is refused, and that no byte is misunderstood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/document.h"
#include "data/json_text.h"
#include "data/json_write.h"

static char *copy_of(const char *text, size_t len)
{
    char *copy = malloc(len + 1); /* no NUL behind it: a reader that goes further is found out */

    assert_non_null(copy);
    memcpy(copy, text, len);
    copy[len] = 'x';
    return copy;
}

static void refused(const char *text, size_t len, const char *reason)
{
    cleanup_free char *body = copy_of(text, len);
    struct document document;
    struct error err = ERROR_INIT;
    int r = document_parse(body, len, &document, &err);

    if (r != (strcmp(reason, "more values") == 0 ? -E2BIG : -EINVAL))
        fail_msg("taken: %.*s", (int)len, text);
    if (!strstr(err.msg, reason))
        fail_msg("%.*s: %s", (int)len, text, err.msg);
    assert_null(document.nodes);
}

static void what_is_not_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",       " ",          "{",         "}",         "[",         "]",
        "[1",     "[1,]",       "[,1]",      "[1 2]",     "{\"a\"}",   "{\"a\":}",
        "{a:1}",  "{\"a\":1,}", "{,}",       "{\"a\" 1}", "nul",       "nulll",
        "tru",    "True",       "01",        "-",         "1.",        ".5",
        "1e",     "+1",         "1.e5",      "0x10",      "NaN",       "Infinity",
        "'a'",    "\"a",        "\"\\",      "\"\\x\"",   "\"\\u12\"", "\"\\u12g4\"",
        "[1]]",   "{}{}",       "{} x",      "\"a\nb\"",  "[\"a\"",    "{1:2}",
        "/**/{}", "[1}",        "{\"a\":1]", "\"\t\"",    "\"\\\"",    "-a"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i], strlen(bad[i]), "is not JSON");
}

static void what_is_not_utf8_is_refused(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\\ud800",
                                      "\\udc00",
                                      "\\ud800\\u0041",
                                      "\\ud800x"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        /* At each place of the eight bytes that are looked at together. */
        for (int before = 0; before < 9; before++) {
            int len = snprintf(text, sizeof text, "[\"%.*s%s\"]", before, "abcdefghi", bad[i]);

            refused(text, (size_t)len, "is not UTF-8");
        }
    }
    refused("\"\\u0000\"", 8, "NUL");
    refused("\"a\0b\"", 5, "is not JSON");
}

static void a_member_that_stands_twice_is_refused_in_small_and_large_objects(void **state)
{
    char text[32768];

    (void)state;
    refused("{\"a\":1,\"a\":1}", 13, "stands twice");
    refused("{\"a\":{\"b\":[{}]},\"\\u0061\":1}", 27, "stands twice");
    refused("[{\"x\":1,\"x\":2}]", 15, "stands twice");
    for (int n = 1; n < 200; n++) {
        size_t len = 1;

        text[0] = '{';
        for (int i = 0; i < n; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "\"member-%d\":[%d],", i, i);
        len += (size_t)snprintf(text + len, sizeof text - len, "\"member-%d\":0}", n / 2);
        refused(text, len, "stands twice");
    }
}

static void depth_and_number_of_values_are_capped(void **state)
{
    cleanup_free char *text = malloc(2 * DOCUMENT_NODES_MAX + 2);
    struct document document;

    (void)state;
    assert_non_null(text);
    memset(text, '[', 100000);
    refused(text, 100000, "nested deeper");
    memset(text, '[', DOCUMENT_DEPTH_MAX);
    memset(text + DOCUMENT_DEPTH_MAX, ']', DOCUMENT_DEPTH_MAX);
    assert_int_equal(document_parse(text, 2 * DOCUMENT_DEPTH_MAX, &document, NULL), 0);
    document_done(&document);
    for (size_t i = 0; i < DOCUMENT_NODES_MAX; i++)
        memcpy(text + 2 * i, i ? ",0" : "[0", 2);
    text[(size_t)2 * DOCUMENT_NODES_MAX] = ']';
    refused(text, 2 * DOCUMENT_NODES_MAX + 1, "more values");
}

static void parse(const char *text, char **body, struct document *ret)
{
    struct error err = ERROR_INIT;

    *body = copy_of(text, strlen(text));
    if (document_parse(*body, strlen(text), ret, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
}

static void values_are_what_jansson_makes_of_them(void **state)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " [ 1 , -0.5e+3 , \"\" , null , true , false , {} ] \n",
        "{\"a\":{\"b\":[1,{\"c\":\"d\"}]},\"e\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
        "[\"\\u00e4\\u20ac\\ud83d\\ude00 \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"]",
        "[\"abcdefg\\\"\",\"abcdefgh\\\\\",\"abcdefghi\\u0041bcdefghijklmnop\"]",
        "{\"\":1,\"\\u0061\":2,\"aa\":3}",
        "[0,-1,9223372036854775807,1E9,1e-9]",
        "{\"a\\nb\":[[],[[]],{\"x\":[]}]}"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cleanup_document struct document document;
        cleanup_free char *body = NULL;
        json_auto_t *expected = json_loads(good[i], JSON_REJECT_DUPLICATES, NULL), *ours = NULL;

        parse(good[i], &body, &document);
        ours = node_to_json(document_root(&document));
        assert_non_null(expected);
        if (!json_equal(ours, expected))
            fail_msg("%s", good[i]);
    }
}

static void questions_go_through_what_is_not_there(void **state)
{
    cleanup_document struct document document;
    cleanup_free char *body = NULL;
    const struct node *root, *list, *element;
    int n = 0;

    (void)state;
    parse("{\"list\":[{\"a\":[1,2]},\"b\",9418.0],\"n\":9.418e3,\"null\":null}", &body, &document);
    root = document_root(&document);
    list = node_get(root, "list");
    assert_null(node_get(node_get(root, "no"), "thing"));
    assert_null(node_get(list, "a"));
    assert_null(node_string(list));
    assert_null(node_at(root, 0));
    assert_null(node_at(list, 3));
    assert_null(node_first(NULL));
    assert_true(node_is(node_get(root, "null"), NODE_NULL));
    assert_true(node_is_text(node_at(list, 1), "b"));
    assert_false(node_is_text(node_at(list, 1), "bb"));
    assert_true(node_is_number(node_at(list, 2), 9418));
    assert_true(node_is_number(node_get(root, "n"), 9418));
    assert_false(node_is_number(node_get(root, "n"), 9417));
    assert_int_equal(node_count(node_get(node_at(list, 0), "a")), 2);
    node_each(list, element) n++;
    assert_int_equal(n, 3);
}

static void equal_is_what_has_the_same_members_in_any_order(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } pairs[] = {
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", false},
        {"{\"a\":null}", "{\"b\":null}", false},
        {"[1,2]", "[2,1]", false},
        {"[\"1\"]", "[1]", false},
        {"[[]]", "[{}]", false},
        {"\"a\"", "\"\\u0061\"", true},
        {"[true]", "[false]", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        cleanup_document struct document a, b;
        cleanup_free char *a_body = NULL, *b_body = NULL;

        parse(pairs[i].a, &a_body, &a);
        parse(pairs[i].b, &b_body, &b);
        if (node_equal(document_root(&a), document_root(&b)) != pairs[i].equal)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
}

static void any_bytes_are_written_as_a_string(void **state)
{
    static const char odd[] = "a\"b\\c\n\x01\x7f\xc3\xa4\xff\xe2\x82";
    cleanup_buf struct buf text = BUF_INIT(1024);

    (void)state;
    json_text_write(&text, odd, sizeof odd - 1);
    assert_string_equal(text.data, "\"a\\\"b\\\\c\\n\\u0001\x7f\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd"
                                   "\xef\xbf\xbd\"");
}

/* What is written is what was read, byte by byte: of the document and of jansson's tree. */
static void values_are_written_as_they_stand(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"a\":{},\"b\":[],\"c\":[{},[]],\"d\":\"\"}",
        "[true,false,null,0,-12,1.5,9007199254740993,\"x\"]",
        "{\"\":\"{\",\"[\":\":\",\"a\\\"b\":\"\\\\\\n\\u0001\xc3\xa4\"}",
        "[[[\"a\",\"b\"],\"c\"],{\"d\":1,\"e\":[2,3]}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cleanup_document struct document document;
        cleanup_free char *body = NULL;
        cleanup_buf struct buf from_nodes = BUF_INIT(1024), from_tree = BUF_INIT(1024);
        json_auto_t *tree = json_loads(texts[i], 0, NULL);

        parse(texts[i], &body, &document);
        node_write(&from_nodes, document_root(&document));
        json_write(&from_tree, tree);
        assert_string_equal(from_nodes.data, texts[i]);
        assert_string_equal(from_tree.data, texts[i]);
    }
}

static void what_could_not_be_made_or_has_no_room_is_an_error(void **state)
{
    cleanup_buf struct buf none = BUF_INIT(1024), small = BUF_INIT(4);
    json_auto_t *tree = json_pack("{s:s}", "a", "bcdef");

    (void)state;
    json_write(&none, NULL);
    assert_int_equal(buf_error(&none), -ENOMEM);
    json_write(&small, tree);
    assert_int_equal(buf_error(&small), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(what_is_not_utf8_is_refused),
        cmocka_unit_test(a_member_that_stands_twice_is_refused_in_small_and_large_objects),
        cmocka_unit_test(depth_and_number_of_values_are_capped),
        cmocka_unit_test(values_are_what_jansson_makes_of_them),
        cmocka_unit_test(questions_go_through_what_is_not_there),
        cmocka_unit_test(equal_is_what_has_the_same_members_in_any_order),
        cmocka_unit_test(any_bytes_are_written_as_a_string),
        cmocka_unit_test(values_are_written_as_they_stand),
        cmocka_unit_test(what_could_not_be_made_or_has_no_room_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
