/* What was found clean is known under the same rules and the same program, and under no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan/clean.h"

#define OBJECT "ce013625030ba8dba906f756967f9e9ca394464a a/b.txt"

static char folder[] = "/tmp/gitgate-clean-XXXXXX";
static struct gate gate;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(gate.repos_dir, sizeof gate.repos_dir, "%s", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char path[PATH_MAX];

    (void)state;
    snprintf(path, sizeof path, "%s/" CLEAN_FILE, folder);
    unlink(path);
    return rmdir(folder);
}

static void other_rules_know_nothing(void **state)
{
    struct rulebook mine = {.key = {1}}, others = {.key = {2}};
    struct clean clean;

    (void)state;
    clean_open(&gate, &mine, &clean);
    assert_non_null(clean.table); /* the program has a build id */
    assert_false(clean_has(&clean, OBJECT));
    clean_add(&clean, OBJECT, CLEAN_AS_IT_IS);
    assert_true(clean_has(&clean, OBJECT));
    assert_false(clean_has(&clean, OBJECT "2"));
    clean_done(&clean);

    clean_open(&gate, &others, &clean);
    assert_false(clean_has(&clean, OBJECT));
    clean_done(&clean);

    clean_open(&gate, &mine, &clean);
    assert_true(clean_has(&clean, OBJECT));
    clean_done(&clean);
}

static void what_libarchive_showed_is_known_too(void **state)
{
    struct rulebook mine = {.key = {3}}, others = {.key = {4}};
    struct clean clean;

    (void)state;
    clean_open(&gate, &mine, &clean);
    clean_add(&clean, OBJECT, CLEAN_BY_LIBARCHIVE);
    assert_true(clean_has(&clean, OBJECT));
    assert_false(clean_has(&clean, OBJECT "2"));
    clean_done(&clean);

    clean_open(&gate, &others, &clean);
    assert_false(clean_has(&clean, OBJECT));
    clean_done(&clean);
}

static void another_program_knows_nothing(void **state)
{
    static const uint8_t rules[RULES_KEY_LEN] = {1};
    uint8_t a[CLEAN_KEY_LEN], b[CLEAN_KEY_LEN], again[CLEAN_KEY_LEN];

    (void)state;
    clean_key(rules, "one", 3, a);
    clean_key(rules, "two", 3, b);
    clean_key(rules, "one", 3, again);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_equal(a, again, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_rules_know_nothing),
        cmocka_unit_test(what_libarchive_showed_is_known_too),
        cmocka_unit_test(another_program_knows_nothing),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
