/* TOML reads as gitleaks reads it; what is no TOML is refused with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "data/toml.h"

static char *read_text(const char *text)
{
    struct error err = ERROR_INIT;
    json_auto_t *root = NULL;

    if (toml_parse(text, strlen(text), "f.toml", &root, &err) < 0)
        return strdup(err.msg);
    return json_dumps(root, JSON_COMPACT);
}

static void expect(const char *text, const char *expected)
{
    cleanup_free char *found = read_text(text);

    if (strcmp(found, expected) != 0)
        fail_msg("%s\nread as:  %s\nexpected: %s", text, found, expected);
}

static void strings_keep_what_they_hold(void **state)
{
    (void)state;
    expect("a = 'c:\\d' # x\nb = \"t\\t\\u00e9\\\"\"", "{\"a\":\"c:\\\\d\",\"b\":\"t\\té\\\"\"}");
    expect("r = '''(?i)['\"\\x60]\\d'''", "{\"r\":\"(?i)['\\\"\\\\x60]\\\\d\"}");
    expect("r = '''ends in '''''", "{\"r\":\"ends in ''\"}");
    expect("m = \"\"\"\na \\\n   b\r\nc\"\"\"", "{\"m\":\"a b\\nc\"}");
    expect("m = '''\n# no comment\n'''", "{\"m\":\"# no comment\\n\"}");
}

static void numbers_and_booleans(void **state)
{
    (void)state;
    expect("a=1_000\nb=-7\nc=0x1F\nd=3.5\ne=1e3\nf=true\ng=false\nh=+5",
           "{\"a\":1000,\"b\":-7,\"c\":31,\"d\":3.5,\"e\":1000.0,\"f\":true,\"g\":false,\"h\":5}");
    expect("a=1979-05-27", "{\"a\":\"1979-05-27\"}");
    expect("a=nan", "f.toml:1: no value that TOML knows");
}

static void tables_lie_where_their_headers_say(void **state)
{
    (void)state;
    expect("t=1\n[a.b]\nx=1\n[[r]]\nid='1'\n[[r.list]]\ny=1\n[[r.list]]\ny=2\n[[r]]\nid='2'\n"
           "[r.sub]\nz=3",
           "{\"t\":1,\"a\":{\"b\":{\"x\":1}},\"r\":[{\"id\":\"1\",\"list\":[{\"y\":1},{\"y\":2}]},"
           "{\"id\":\"2\",\"sub\":{\"z\":3}}]}");
    expect("a.b = 1\na.\"c d\" = 2", "{\"a\":{\"b\":1,\"c d\":2}}");
    expect("a = [ # one\n 'x', # two\n 'y',\n]\nb = {c = 1, d = [2]}",
           "{\"a\":[\"x\",\"y\"],\"b\":{\"c\":1,\"d\":[2]}}");
}

static void what_is_no_toml_is_refused_with_its_line(void **state)
{
    (void)state;
    expect("a = 1\na = 2", "f.toml:2: a key stands here twice");
    expect("a = 'x\n'", "f.toml:2: a line end in a string of one line");
    expect("\n\na = '''x", "f.toml:3: the string does not end");
    expect("a = 1 b = 2", "f.toml:1: a line end is expected here");
    expect("a = \"\\x\"", "f.toml:1: no such escape in a string");
    expect("[a\nb=1", "f.toml:1: \"]\" is expected behind a table's name");
    expect("a = 1\n[a]", "f.toml:2: a key is used as a table and as a value");
    expect("a = ", "f.toml:1: no value that TOML knows");
    expect("= 1", "f.toml:1: a key is expected here");
    expect("a = [1 2]", "f.toml:1: \",\" or \"]\" is expected in an array");
    expect("a = \"\xff\"", "f.toml:1: not UTF-8");
}

static void depth_is_bounded(void **state)
{
    char text[300] = "a = ";

    (void)state;
    memset(text + 4, '[', 200);
    expect(text, "f.toml:1: values lie too deep in one another");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_keep_what_they_hold),
        cmocka_unit_test(numbers_and_booleans),
        cmocka_unit_test(tables_lie_where_their_headers_say),
        cmocka_unit_test(what_is_no_toml_is_refused_with_its_line),
        cmocka_unit_test(depth_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
