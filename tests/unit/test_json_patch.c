/* JSON Patch: what each operation does, that it can be taken back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/json_patch.h"

static json_t *json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    return value;
}

static void expect_text(const json_t *value, const char *expected)
{
    cleanup_free char *found = json_dumps(value, JSON_COMPACT);

    assert_string_equal(found, expected);
}

/* ... and taken back it is as it was, order and all. */
static void expect(const char *before, const char *patch, const char *after)
{
    json_auto_t *document = json(before), *operations = json(patch), *undo = json_array();
    cleanup_free char *original = json_dumps(document, JSON_COMPACT);
    struct error err = ERROR_INIT;

    if (json_patch_apply(document, operations, undo, &err) < 0)
        fail_msg("%s: %s", patch, err.msg);
    expect_text(document, after);
    if (json_patch_apply(document, undo, NULL, &err) < 0)
        fail_msg("%s: not taken back: %s", patch, err.msg);
    expect_text(document, original);
}

static void refuse(const char *before, const char *patch, const char *message)
{
    json_auto_t *document = json(before), *operations = json(patch);
    struct error err = ERROR_INIT;

    assert_int_equal(json_patch_apply(document, operations, NULL, &err), -EINVAL);
    assert_string_equal(err.msg, message);
}

static void operations_do_what_rfc_6902_says_and_can_be_taken_back(void **state)
{
    (void)state;
    expect("{}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]", "{\"a\":1}");
    expect("{\"a\":2,\"b\":0}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]",
           "{\"a\":1,\"b\":0}");
    expect("{\"a\":[1,3]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]", "{\"a\":[1,2,3]}");
    expect("{\"a\":[]}",
           "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":1},"
           "{\"op\":\"add\",\"path\":\"/a/-\",\"value\":{\"name\":\"x\"}}]",
           "{\"a\":[1,{\"name\":\"x\"}]}");
    expect("{\"a\":[1,2]}", "[{\"op\":\"replace\",\"path\":\"/a/0\",\"value\":[]}]",
           "{\"a\":[[],2]}");
    expect("{\"a\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/a/0\"}]", "{\"a\":[2]}");
    expect("{\"a\":[1,2,3]}", "[{\"op\":\"move\",\"from\":\"/a/2\",\"path\":\"/a/0\"}]",
           "{\"a\":[3,1,2]}");
    expect("{\"a\":{\"b\":1},\"c\":2}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/a\"}]",
           "{\"a\":1,\"c\":2}");
    expect("{\"a/b\":{\"~1\":1}}", "[{\"op\":\"replace\",\"path\":\"/a~1b/~01\",\"value\":2}]",
           "{\"a/b\":{\"~1\":2}}");
    expect("{\"\":1}", "[{\"op\":\"test\",\"path\":\"/\",\"value\":1}]", "{\"\":1}");
}

/* What is added whole and then added to is two things to take back. */
static void what_is_added_may_be_changed_by_later_operations(void **state)
{
    (void)state;
    expect("{}",
           "[{\"op\":\"add\",\"path\":\"/l\",\"value\":[{\"name\":\"a\"}]},"
           "{\"op\":\"add\",\"path\":\"/l/0/x\",\"value\":{}},"
           "{\"op\":\"add\",\"path\":\"/l/0/x/y\",\"value\":[1]},"
           "{\"op\":\"move\",\"from\":\"/l/0/x\",\"path\":\"/z\"},"
           "{\"op\":\"add\",\"path\":\"/z/y/-\",\"value\":2}]",
           "{\"l\":[{\"name\":\"a\"}],\"z\":{\"y\":[1,2]}}");
}

static void what_was_changed_meanwhile_is_not_taken_back(void **state)
{
    json_auto_t *document = json("{\"l\":[]}"), *undo = json_array();
    json_auto_t *patch = json("[{\"op\":\"add\",\"path\":\"/l/-\",\"value\":{\"name\":\"a\"}}]");
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(json_patch_apply(document, patch, undo, &err), 0);
    json_array_insert_new(json_object_get(document, "l"), 0, json("{\"name\":\"b\"}"));
    assert_int_equal(json_patch_apply(document, undo, NULL, &err), -EINVAL);
    assert_string_equal(err.msg, "test at \"/l/0/name\": there is something else");
    expect_text(document, "{\"l\":[{\"name\":\"b\"},{\"name\":\"a\"}]}");
}

static void a_list_that_was_added_does_not_go_with_what_was_put_into_it_since(void **state)
{
    json_auto_t *document = json("{}"), *undo = json_array();
    json_auto_t *patch = json("[{\"op\":\"add\",\"path\":\"/l\",\"value\":"
                              "[{\"name\":\"a\"},{\"name\":\"b\"}]}]");
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(json_patch_apply(document, patch, undo, &err), 0);
    json_array_append_new(json_object_get(document, "l"), json("{\"name\":\"c\"}"));
    assert_int_equal(json_patch_apply(document, undo, NULL, &err), -EINVAL);
    assert_string_equal(err.msg, "test at \"/l\": there is something else");
}

static void what_is_not_possible_is_refused(void **state)
{
    char pointer[3000] = "[{\"op\":\"remove\",\"path\":\"/";
    json_auto_t *document = json("{}"), *patch = NULL;

    (void)state;
    refuse("{}", "{}", "a JSON Patch is a list of operations");
    refuse("{}", "[1]", " at \"\": it has no value");
    refuse("{}", "[{\"op\":\"remove\",\"path\":\"\"}]", "remove at \"\": there is no such place");
    refuse("{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "remove at \"/a\": there is nothing");
    refuse("{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]",
           "add at \"/a/b\": there is no such place");
    refuse("{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]",
           "add at \"/a/2\": there is no such place");
    refuse("{\"a\":[1]}", "[{\"op\":\"replace\",\"path\":\"/a/00\",\"value\":1}]",
           "replace at \"/a/00\": there is no such place");
    refuse("{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/-\"}]",
           "remove at \"/a/-\": there is nothing");
    refuse("{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/~2\",\"value\":1}]",
           "add at \"/~2\": there is no such place");
    refuse("{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/~\",\"value\":1}]",
           "add at \"/~\": there is no such place");
    refuse("{\"a\":{}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
           "move at \"/a/b\": there is no such place");
    refuse("{\"a\":1}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
           "test at \"/a\": there is something else");
    refuse("{\"a\":1}", "[{\"op\":\"copy\",\"path\":\"/a\",\"value\":2}]",
           "copy at \"/a\": this operation is not known");
    memset(pointer + strlen(pointer), 'x', 2000);
    strcat(pointer, "\"}]");
    patch = json(pointer);
    assert_int_equal(json_patch_apply(document, patch, NULL, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_do_what_rfc_6902_says_and_can_be_taken_back),
        cmocka_unit_test(what_is_added_may_be_changed_by_later_operations),
        cmocka_unit_test(what_was_changed_meanwhile_is_not_taken_back),
        cmocka_unit_test(a_list_that_was_added_does_not_go_with_what_was_put_into_it_since),
        cmocka_unit_test(what_is_not_possible_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
