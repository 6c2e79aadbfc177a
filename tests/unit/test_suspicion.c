/* Damage is told from what only looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mirror/suspicion.h"

static void what_git_says_of_a_damaged_repository_is_suspicious(void **state)
{
    static const char *const words[] = {
        "fatal: not a git repository: '.'\n",
        "warning: ignoring broken ref refs/heads/main\n",
        "error: object file objects/12/34 is empty\nfatal: loose object 1234 is corrupt\n",
        "error: inflate: data stream error (incorrect data check)\n",
        "fatal: bad object HEAD\n",
        "fatal: bad shallow line: 1234\n",
        "fatal: unable to read tree 1234\n",
        "remote: Counting objects\nerror: Could not read 1234\n",
        "error: packfile objects/pack/pack-1.pack does not match index\n",
        "remote: No space left on device\nssh: Out of memory\nfatal: bad object HEAD\n",
        "error: refs/heads/fix-memory-quota does not point to a valid object!\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_true(damage_suspected(words[i]));
}

static void what_it_says_of_an_upstream_or_of_a_short_machine_is_not(void **state)
{
    static const char *const words[] = {
        "",
        "ssh: Could not resolve hostname git.example.com: Name or service not known\n",
        "remote: fatal: bad object HEAD\n",
        "ssh: fatal: bad object HEAD\n",
        "fatal: remote error: so it is\nerror: object file objects/12/34 is empty\n",
        "fatal: Could not read from remote repository.\n",
        ("error: unable to write file objects/pack: No space left on device\nfatal: index-pack "
         "died\n"),
        "fatal: Out of memory, malloc failed\nerror: inflate: out of memory\n",
        "error: unable to write loose object file: Disk quota exceeded\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_false(damage_suspected(words[i]));
}

static void fsck_finds_damage_by_its_code_or_its_words(void **state)
{
    (void)state;
    assert_true(fsck_tells_damage(2, ""));
    assert_true(fsck_tells_damage(128, "fatal: not a git repository: '.'\n"));
    assert_true(fsck_tells_damage(1, "error: 1234: object corrupt or missing: objects/12/34\n"));
    assert_true(fsck_tells_damage(2, "error: refs/heads/memory: invalid sha1 pointer 1234\n"));
}

static void no_object_can_say_that_the_machine_is_short_of_something(void **state)
{
    static const char *const quoted[] = {
        "warning in tag 12: badTagName: invalid 'tag' name: Permission denied\nerror: 34: broken\n",
        "error in tag 12: badType: invalid 'type' value: mmap failed\nerror: 34: broken\n",
        "error: unknown tag type 'Permission denied' in 12\nerror: 34: broken\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++)
        assert_true(fsck_tells_damage(1, quoted[i]));
}

static void what_fsck_finds_fault_with_is_no_damage(void **state)
{
    (void)state;
    assert_false(fsck_tells_damage(0, ""));
    assert_false(fsck_tells_damage(0, "warning in tree 1234: zeroPaddedFilemode: contains it\n"));
    assert_false(fsck_tells_damage(1, "error in commit 1234: badTimezone: invalid author line\n"));
    assert_false(fsck_tells_damage(128, "fatal: mmap failed: Cannot allocate memory\n"));
}

static void what_fsck_says_of_objects_alone_may_be_about_what_nothing_leads_to(void **state)
{
    (void)state;
    assert_true(fsck_leaves_doubt(1 | 2 | 4, "error: 1234: object corrupt or missing\n"));
    assert_true(fsck_leaves_doubt(1, "error: unknown tag type 'error: packed ' in 1234\n"));
    assert_false(fsck_leaves_doubt(1, "error: hash mismatch for objects/12/34 (expected 1234)\n"));
    assert_false(fsck_leaves_doubt(5, "error: bad\nerror: packed 12 from 34.pack is corrupt\n"));
    assert_false(fsck_leaves_doubt(1 | 8, ""));
    assert_false(fsck_leaves_doubt(128, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_git_says_of_a_damaged_repository_is_suspicious),
        cmocka_unit_test(what_it_says_of_an_upstream_or_of_a_short_machine_is_not),
        cmocka_unit_test(fsck_finds_damage_by_its_code_or_its_words),
        cmocka_unit_test(no_object_can_say_that_the_machine_is_short_of_something),
        cmocka_unit_test(what_fsck_finds_fault_with_is_no_damage),
        cmocka_unit_test(what_fsck_says_of_objects_alone_may_be_about_what_nothing_leads_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
