/* YAML reads as the Kubernetes tools read it; what could surprise or explode is refused with its
 * place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/yaml.h"

#define TEXT_MAX (8u << 20)

/* The documents as compact JSON, one a line, or the error. */
static char *read_text(const char *text, size_t len)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
    struct error err = ERROR_INIT;

    if (yaml_parse(text, len, "f.yaml", &file, &err) < 0)
        return strdup(err.msg);
    for (size_t i = 0; i < file.n; i++) {
        cleanup_free char *json =
            json_dumps(file.documents[i].root, JSON_COMPACT | JSON_ENCODE_ANY);

        buf_addf(&out, "%s%s", i ? "\n" : "", json);
    }
    return buf_take(&out);
}

static void expect(const char *text, const char *expected)
{
    cleanup_free char *found = read_text(text, strlen(text));

    if (strcmp(found, expected) != 0)
        fail_msg("%s\nread as:  %s\nexpected: %s", text, found, expected);
}

static void scalars_become_what_kubernetes_tools_make_of_them(void **state)
{
    (void)state;
    expect("[true, False, null, ~, , 0, -7, 1.5, 1e3, .5]",
           "f.yaml:1:24: did not find expected node content");
    expect("[true, False, null, ~, 0, -7, 1.5, 1e3, .5]",
           "[true,false,null,null,0,-7,1.5,1000.0,0.5]");
    expect("[0644, 00, -0777, 0888, 0777777777777777777777777]",
           "[420,0,-511,\"0888\",\"0777777777777777777777777\"]");
    expect("[yes, no, on, 0x1f, 1_000, 1:30, 2024-01-01, .inf, 1e999, '', \"5\", 'true']",
           "[\"yes\",\"no\",\"on\",\"0x1f\",\"1_000\",\"1:30\",\"2024-01-01\",\".inf\","
           "\"1e999\",\"\",\"5\",\"true\"]");
    expect("[99999999999999999999, 1e, e1, 1.2.3, ., +5]",
           "[\"99999999999999999999\",\"1e\",\"e1\",\"1.2.3\",\".\",5]");
    expect("a:\nb: |\n  x\n  y\nc: >-\n  x\n  y\n8080: z\n",
           "{\"a\":null,\"b\":\"x\\ny\\n\",\"c\":\"x y\",\"8080\":\"z\"}");
}

static void documents_are_split_and_empty_ones_left_out(void **state)
{
    (void)state;
    expect("", "");
    expect("---\n---\na: 1\n---\n# nothing\n---\n- b\n...\n", "{\"a\":1}\n[\"b\"]");
    expect("%YAML 1.1\n---\na: 1\n", "{\"a\":1}");
}

static void what_could_surprise_is_refused_with_its_place(void **state)
{
    (void)state;
    expect("a: &x 1", "f.yaml:1:4: anchors (&name) are not allowed");
    expect("a: &x {b: 1}", "f.yaml:1:4: anchors (&name) are not allowed");
    expect("a: 1\nb: *x", "f.yaml:2:4: aliases (*name) are not allowed");
    expect("*x : 1", "f.yaml:1:1: aliases (*name) are not allowed");
    expect("a: !!str 1", "f.yaml:1:4: tags (!name) are not allowed; quote a string instead");
    expect("a: ! b", "f.yaml:1:4: tags (!name) are not allowed; quote a string instead");
    expect("a: !<tag:x> [1]", "f.yaml:1:4: tags (!name) are not allowed; quote a string instead");
    expect("%TAG ! tag:x,2000:\n---\na: 1", "f.yaml:1:1: %TAG directives are not allowed");
    expect("a: 1\nb: 2\na: 3", "f.yaml:3:1: this key stands here a second time");
    expect("a: 1\n\"a\": 3", "f.yaml:2:1: this key stands here a second time");
    expect("<<: {a: 1}", "f.yaml:1:1: merge keys (<<) are not allowed");
    expect("\"<<\": 1", "{\"<<\":1}");
    expect("[a]: 1", "f.yaml:1:1: a key must be a plain or quoted text");
    expect("? {a: b}\n: 1", "f.yaml:1:3: a key must be a plain or quoted text");
    expect("?\n: 1", "f.yaml:1:2: a key is missing");
    expect("a: \"x\\0y\"", "f.yaml:1:4: a NUL character is not allowed");
    expect("\"x\\0y\": 1", "f.yaml:1:1: a NUL character is not allowed");
    expect("a: 'b", "f.yaml:1:6: found unexpected end of stream");
    expect("\tb: 1", "f.yaml:1:1: found character that cannot start any token");
    expect("a: \xff", "f.yaml: byte 3: invalid leading UTF-8 octet");
    expect("a: b\x01", "f.yaml: byte 4: control characters are not allowed");
}

/* The documents as compact JSON, and what is wrong, a line each. */
static void expect_all(const char *text, const char *expected)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_buf struct buf faults = BUF_INIT(TEXT_MAX), out = BUF_INIT(TEXT_MAX);
    int r = yaml_read(text, strlen(text), "f", &file, &faults);

    assert_int_equal(r<0, faults.len> 0);
    for (size_t i = 0; i < file.n; i++) {
        cleanup_free char *json =
            json_dumps(file.documents[i].root, JSON_COMPACT | JSON_ENCODE_ANY);

        buf_addf(&out, "%s\n", json);
    }
    buf_add(&out, faults.data, faults.len);
    assert_string_equal(out.data, expected);
}

static void all_that_is_wrong_is_told_and_the_rest_read(void **state)
{
    (void)state;
    expect_all("a: 1\na: 2\nb: &x 3\nc: *x\nd: !t 4\n<<: {e: 5}\nf: 6\n",
               "{\"a\":1,\"b\":3,\"c\":null,\"d\":4,\"f\":6}\n"
               "f:2:1: this key stands here a second time\n"
               "f:3:4: anchors (&name) are not allowed\n"
               "f:4:4: aliases (*name) are not allowed\n"
               "f:5:4: tags (!name) are not allowed; quote a string instead\n"
               "f:6:1: merge keys (<<) are not allowed\n");
    /* A document that broke off: by a separator that it ran into, in its middle, at the end. */
    expect_all("a: 'x\n---\nb: 1\n---\nc: [1\nd: 2\n---x: y\n---\te: 3\n---\n- *x\n- 'y\n",
               "{\"b\":1}\n"
               "f:2:1: found unexpected document indicator\n"
               "f:6:2: did not find expected ',' or ']'\n"
               "f:8:6: mapping values are not allowed in this context\n"
               "f:10:3: aliases (*name) are not allowed\n"
               "f:12:1: found unexpected end of stream\n");
    expect_all("a: 1\n---\n? [b]\n: 1\n---\nc: 1\nc: 2\n",
               "{\"a\":1}\n{\"c\":1}\n"
               "f:3:3: a key must be a plain or quoted text\n"
               "f:7:1: this key stands here a second time\n");
    expect_all("a: \xff\n--- # behind it\nb: 1\n",
               "{\"b\":1}\nf: byte 3: invalid leading UTF-8 octet\n");
}

static void places_are_right_behind_a_document_that_broke_off(void **state)
{
    static const char text[] = "a: 'x\n---\n\nb:\n  c: 1\n";
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_buf struct buf faults = BUF_INIT(TEXT_MAX);
    cleanup_problems struct problems problems = PROBLEMS_INIT;

    (void)state;
    assert_true(yaml_read(text, strlen(text), "f", &file, &faults) < 0);
    assert_int_equal(file.n, 1);
    problems_add(&problems, "b.c", "wrong");
    yaml_locate(&file.documents[0], &problems);
    assert_int_equal(problems.list[0].line, 5);
    assert_int_equal(problems.list[0].column, 3);
}

static void faults_are_capped(void **state)
{
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX), faults = BUF_INIT(TEXT_MAX);
    size_t lines = 0;

    (void)state;
    for (int i = 0; i < 500; i++)
        buf_adds(&text, "a: [\n---\n");
    assert_true(yaml_read(text.data, text.len, "f", &file, &faults) < 0);
    for (const char *p = faults.data; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 100);
}

static char *repeated(const char *text, size_t n, const char *end)
{
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

    for (size_t i = 0; i < n; i++)
        buf_adds(&out, text);
    buf_adds(&out, end);
    return buf_take(&out);
}

static void size_depth_and_number_are_capped(void **state)
{
    cleanup_free char *deep = repeated("[", YAML_DEPTH_MAX + 2, "");
    cleanup_free char *deeper = repeated("[", 500000, "");
    cleanup_free char *maps = repeated("{a: ", YAML_DEPTH_MAX + 2, "");
    cleanup_free char *wide = repeated("- a\n", YAML_NODES_MAX + 1, "");
    cleanup_free char *many = repeated("--- a\n", YAML_DOCUMENTS_MAX + 1, "");
    cleanup_free char *large = repeated("#", YAML_BYTES_MAX + 1, "");

    (void)state;
    expect(deep, "f.yaml:1:66: too deeply nested");
    expect(deeper, "f.yaml:1:66: too deeply nested");
    expect(maps, "f.yaml:1:261: too deeply nested");
    expect(wide, "f.yaml:200000:3: too many values in one file");
    expect(many, "f.yaml:1001:5: too many documents in one file");
    expect(large, "f.yaml is larger than 4194304 bytes");
}

static void problems_get_the_place_of_their_field_or_its_nearest_parent(void **state)
{
    static const char text[] = "kind: x\n"
                               "spec:\n"
                               "  upstreams:\n"
                               "  - name: a\n"
                               "  - name: b\n"
                               "    url: u\n"
                               "    extraHosts:\n"
                               "      git.example.com: 1\n"
                               "      git: 2\n"
                               "  a.b: 1\n";
    static const struct {
        const char *path;
        int line, column;
    } places[] = {
        {"", 1, 1},
        {"kind", 1, 1},
        {"metadata.name", 1, 1},
        {"spec", 2, 1},
        {"spec.placement", 2, 1},
        {"spec.upstreams[0]", 4, 5},
        {"spec.upstreams[0].url", 4, 5},
        {"spec.upstreams[1].url", 6, 5},
        {"spec.upstreams[7]", 3, 3},
        {"spec.upstreams[1].extraHosts[git.example.com]", 8, 7},
        {"spec.upstreams[1].extraHosts[git]", 9, 7},
        {"spec.upstreams[1].extraHosts[gi]", 7, 5},
        {"spec.a.b", 10, 3},
        {"spec.upstreams[", 3, 3},
    };
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

    (void)state;
    assert_int_equal(yaml_parse(text, strlen(text), "f.yaml", &file, NULL), 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        problems_add(&problems, places[i].path, "wrong");
    yaml_locate(&file.documents[0], &problems);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (problems.list[i].line != places[i].line || problems.list[i].column != places[i].column)
            fail_msg("%s at %d:%d", places[i].path, problems.list[i].line, problems.list[i].column);
    problems_print(&problems, "f.yaml", &out);
    assert_memory_equal(out.data, "f.yaml:1:1: wrong\nf.yaml:1:1: kind: wrong\n", 42);
}

static void what_is_printed_reads_as_the_same(void **state)
{
    static const char *const strings[] = {
        "",
        "plain",
        "true",
        "Yes",
        "y",
        "null",
        "~",
        "5",
        "-1",
        "1e3",
        "0x1f",
        "1:30",
        "a: b",
        "a #b",
        "#a",
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "\n",
        "\n a\n",
        " a",
        "a ",
        "a\n b \nc",
        "\ta",
        "'",
        "\"",
        "\\",
        "- a",
        "? a",
        ": a",
        "[a]",
        "{a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%",
        "@",
        "`",
        "\xc3\xa9",
        "a\rb",
        "a\x1b",
        "\xe2\x80\xa8",
        "#!/bin/sh\nset -eu\n\techo \"$1\"\n",
        "---\na",
        "...",
        "a\tb\nc",
        "trailing \nspace",
        "\xef\xbb\xbf bom",
    };
    json_auto_t *object =
        json_pack("{s:{}, s:[], s:i, s:f, s:b, s:n, s:[[i], {s:i, s:i}]}", "empty", "list", "int",
                  -5, "real", 1.0, "bool", 1, "null", "nested", 1, "a", 1, "b", 2);
    json_t *list = json_array();
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        json_array_append_new(list, json_string(strings[i]));
        json_object_set_new(object, strings[i], json_string(strings[i]));
    }
    json_object_set_new(object, "strings", list);
    assert_int_equal(yaml_print(object, &out, &err), 0);
    if (yaml_parse(out.data, out.len, "printed", &file, &err) < 0)
        fail_msg("%s\n%s", err.msg, out.data);
    assert_int_equal(file.n, 1);
    if (!json_equal(file.documents[0].root, object))
        fail_msg("%s", out.data);
}

static void printed_yaml_is_what_a_person_would_write(void **state)
{
    json_auto_t *object = json_pack("{s:s, s:{s:s, s:i}, s:[{s:s, s:s}], s:s}", "kind", "ConfigMap",
                                    "a", "b", "c: d", "count", 1, "list", "x", "z", "on", "yes",
                                    "script", "#!/bin/sh\nexec x \"$@\"\n");
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

    (void)state;
    assert_int_equal(yaml_print(object, &out, NULL), 0);
    assert_string_equal(out.data, "kind: ConfigMap\n"
                                  "a:\n"
                                  "  b: 'c: d'\n"
                                  "  count: 1\n"
                                  "list:\n"
                                  "- x: z\n"
                                  "  \"on\": \"yes\"\n"
                                  "script: |\n"
                                  "  #!/bin/sh\n"
                                  "  exec x \"$@\"\n");
}

static void printing_stops_at_the_buffers_cap(void **state)
{
    cleanup_buf struct buf small = BUF_INIT(16);
    json_auto_t *list = json_array();
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < 10000; i++)
        json_array_append_new(list, json_integer(i));
    assert_int_equal(yaml_print(list, &small, &err), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_become_what_kubernetes_tools_make_of_them),
        cmocka_unit_test(documents_are_split_and_empty_ones_left_out),
        cmocka_unit_test(all_that_is_wrong_is_told_and_the_rest_read),
        cmocka_unit_test(places_are_right_behind_a_document_that_broke_off),
        cmocka_unit_test(faults_are_capped),
        cmocka_unit_test(what_could_surprise_is_refused_with_its_place),
        cmocka_unit_test(size_depth_and_number_are_capped),
        cmocka_unit_test(problems_get_the_place_of_their_field_or_its_nearest_parent),
        cmocka_unit_test(what_is_printed_reads_as_the_same),
        cmocka_unit_test(printed_yaml_is_what_a_person_would_write),
        cmocka_unit_test(printing_stops_at_the_buffers_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
