/* A gitleaks configuration of a GitGate's own means what it means to gitleaks, or is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "data/gitleaks.h"

static json_t *read_config(const char *text)
{
    struct error err = ERROR_INIT;
    json_t *config = NULL;

    if (gitleaks_config_read(text, strlen(text), &config, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return config;
}

static void refused(const char *text, const char *why)
{
    struct error err = ERROR_INIT;
    json_t *config = NULL;

    assert_true(gitleaks_config_read(text, strlen(text), &config, &err) < 0);
    assert_string_equal(err.msg, why);
}

#define RULE "[[rules]]\nid = \"a\"\nregex = \"b\"\n"

static void keys_that_are_the_same_to_gitleaks_are_refused(void **state)
{
    (void)state;
    refused(RULE "Regex = \"c\"\n",
            "\"Regex\" is there twice, as gitleaks does not regard the case of keys");
    refused(RULE "[[Rules]]\nid = \"c\"\nregex = \"d\"\n",
            "\"Rules\" is there twice, as gitleaks does not regard the case of keys");
    refused(RULE "[rules.Allowlist]\nregexes = [\"x\"]\nREGEXES = [\".*\"]\n",
            "\"REGEXES\" is there twice, as gitleaks does not regard the case of keys");
    json_decref(read_config("[[Rules]]\nID = \"a\"\nRegex = \"b\"\n"));
}

static void what_gitleaks_takes_for_something_else_is_refused(void **state)
{
    static const char *const extends[] = {"'true'", "1", "1.5"};
    char text[200];

    (void)state;
    for (size_t i = 0; i < sizeof extends / sizeof *extends; i++) {
        snprintf(text, sizeof text, "extend.useDefault = %s\n" RULE, extends[i]);
        refused(text, "extend.useDefault must be true or false, without quotes");
    }
    refused("\"extend.useDefault\" = true\n" RULE,
            "the key \"extend.useDefault\" has a dot, which gitleaks takes for a table's: write it "
            "without quotes");
    refused("[[extend]]\nuseDefault = true\n" RULE, "\"extend\" must be a table");
    refused("[extend]\nuseDefault = true\ndisabledRules = \"a\"\n",
            "\"disabledRules\" must be a list of strings");
    refused(RULE "keywords = \"b,c\"\n", "rules[0]: \"keywords\" must be a list of strings");
    refused(RULE "[[allowlists]]\ntargetRules = \"a\"\nregexes = [\".*\"]\n",
            "\"targetRules\" must be a list of strings");
    refused(RULE "[allowlist]\ntargetRules = \"a\"\nregexes = [\".*\"]\n",
            "\"targetRules\" must be a list of strings");
}

static void a_rule_that_would_find_nothing_is_refused(void **state)
{
    (void)state;
    refused(
        "[[rules]]\nid = \"a\"\nregex = '\\Ab'\n",
        "rules[0]: its regex has a \\A: content is judged in parts, so its start can't be told; "
        "a line's start is ^");
}

#define KEYS 30000 /* 7 s, when each is held against each */
#define CPU_MAX_S 3

static void a_table_of_many_keys_takes_no_time(void **state)
{
    cleanup_buf struct buf text = BUF_INIT(GITLEAKS_CONFIG_MAX);
    clock_t began;

    (void)state;
    buf_adds(&text, RULE "[[x]]\n");
    for (unsigned i = 0; i < KEYS; i++)
        buf_addf(&text, "%x=1\n", i);
    assert_int_equal(buf_error(&text), 0);
    began = clock();
    json_decref(read_config(text.data));
    assert_true(clock() - began < CPU_MAX_S * CLOCKS_PER_SEC);
}

static void a_rule_needs_something_to_look_for(void **state)
{
    (void)state;
    refused("[[rules]]\nid = \"a\"\n", "rules[0] needs an id, and a regex or a path");
    refused("[[rules]]\nregex = \"a\"\n", "rules[0] needs an id, and a regex or a path");
    /* Here it may be a change of one of gitleaks' own. */
    json_decref(read_config("[extend]\nuseDefault = true\n[[rules]]\nid = \"a\"\n"));
}

/* Of gitleaks' own rules as the gate holds them. */
static const char base_text[] =
    "[{\"id\": \"one\", \"regex\": \"1\", \"keywords\": [\"k\"], \"entropy\": 3.5, \"allowlists\": "
    "[{\"regexes\": [\"x\"]}]}, {\"id\": \"two\", \"regex\": \"2\", \"keywords\": []},"
    " {\"id\": \"three\", \"regex\": \"3\", \"keywords\": []}]";

static json_t *extend(const char *text)
{
    json_auto_t *config = read_config(text), *base = json_loads(base_text, 0, NULL);
    json_t *extended;

    assert_non_null(base);
    extended = gitleaks_config_extend(config, base);
    assert_non_null(extended);
    return extended;
}

static const char *ids(const json_t *config, char to[100])
{
    const json_t *rule;
    size_t i;

    to[0] = '\0';
    json_array_foreach(json_object_get(config, "rules"), i, rule)
        snprintf(to + strlen(to), 100 - strlen(to), "%s ",
                 json_string_value(gitleaks_config_get(rule, "id")));
    return to;
}

#define EXTEND "[Extend]\nuseDefault = true\n"

static void rules_that_are_disabled_go(void **state)
{
    json_auto_t *some = extend(EXTEND "disabledRules = [\"one\", \"three\", \"none\"]\n" RULE);
    json_auto_t *replaced =
        extend(EXTEND "disabledRules = [\"two\"]\n[[Rules]]\nid = \"two\"\nregex = \"own\"\n");
    const json_t *rule = json_array_get(json_object_get(replaced, "rules"), 2);
    char list[100];

    (void)state;
    assert_string_equal(ids(some, list), "two a ");
    assert_true(gitleaks_config_changes(some, "one"));
    assert_false(gitleaks_config_changes(some, "none at all"));
    assert_string_equal(ids(replaced, list), "one three two ");
    assert_string_equal(json_string_value(json_object_get(rule, "regex")), "own");
    assert_null(json_object_get(replaced, "Rules"));
}

static void a_rule_of_the_same_id_changes_gitleaks_own(void **state)
{
    json_auto_t *extended =
        extend(EXTEND "[[rules]]\nid = \"one\"\nentropy = 2\nkeywords = [\"m\"]\n"
                      "[rules.allowlist]\nregexes = [\"y\"]\n");
    const json_t *rule = json_array_get(json_object_get(extended, "rules"), 0);
    json_auto_t *expected =
        json_pack("{s:s, s:s, s:[s, s], s:i, s:[{s:[s]}, {s:[s]}]}", "id", "one", "regex", "1",
                  "keywords", "k", "m", "entropy", 2, "allowlists", "regexes", "x", "regexes", "y");
    char list[100];

    (void)state;
    assert_string_equal(ids(extended, list), "one two three ");
    assert_true(json_equal(rule, expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_are_the_same_to_gitleaks_are_refused),
        cmocka_unit_test(what_gitleaks_takes_for_something_else_is_refused),
        cmocka_unit_test(a_rule_that_would_find_nothing_is_refused),
        cmocka_unit_test(a_table_of_many_keys_takes_no_time),
        cmocka_unit_test(a_rule_needs_something_to_look_for),
        cmocka_unit_test(rules_that_are_disabled_go),
        cmocka_unit_test(a_rule_of_the_same_id_changes_gitleaks_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
