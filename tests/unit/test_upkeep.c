/* A repository is kept up when it needs it, and left alone when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mirror/upkeep.h"

/* A repository in good order, looked after an hour ago. */
static const struct upkeep_seen fine = {.packs = 3,
                                        .loose_objects = 20,
                                        .loose_refs = 5,
                                        .bytes = 1 << 20,
                                        .collected_bytes = 1 << 20,
                                        .collected_s = 3600};

static void what_is_in_order_is_left_alone(void **state)
{
    struct upkeep_need need = upkeep_judge(&fine);

    (void)state;
    assert_false(need.sweep || need.roll || need.pack_refs || need.collect);
}

static void many_packs_objects_or_refs_are_put_together(void **state)
{
    struct upkeep_seen packs = fine, objects = fine, refs = fine;

    (void)state;
    packs.packs = UPKEEP_PACKS_MAX + 1;
    objects.loose_objects = UPKEEP_LOOSE_MAX + 1;
    refs.loose_refs = UPKEEP_REFS_MAX + 1;
    assert_true(upkeep_judge(&packs).roll);
    assert_true(upkeep_judge(&objects).roll);
    assert_false(upkeep_judge(&objects).pack_refs);
    assert_true(upkeep_judge(&refs).pack_refs);
    assert_false(upkeep_judge(&refs).roll);
}

static void debris_is_swept(void **state)
{
    struct upkeep_seen seen = fine;

    (void)state;
    seen.debris = 1;
    assert_true(upkeep_judge(&seen).sweep);
}

static void growth_is_followed_by_a_collection(void **state)
{
    struct upkeep_seen seen = fine;

    (void)state;
    seen.bytes = 2 * seen.collected_bytes + UPKEEP_GROWTH_MIN - 1;
    assert_false(upkeep_judge(&seen).collect);
    seen.bytes++;
    assert_true(upkeep_judge(&seen).collect);
}

static void a_day_is_followed_by_a_collection(void **state)
{
    struct upkeep_seen seen = fine;

    (void)state;
    seen.collected_s = UPKEEP_COLLECT_S - 1;
    assert_false(upkeep_judge(&seen).collect);
    seen.collected_s++;
    assert_true(upkeep_judge(&seen).collect);
}

/* Who keeps the disk full must not keep the gate walking through its history. */
static void a_full_disk_is_no_reason_to_collect_all_the_time(void **state)
{
    struct upkeep_seen seen = fine;

    (void)state;
    seen.room_short = true;
    assert_true(upkeep_judge(&seen).collect);
    seen.collected_s = UPKEEP_COLLECT_SHORT_S - 1;
    assert_false(upkeep_judge(&seen).collect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_order_is_left_alone),
        cmocka_unit_test(many_packs_objects_or_refs_are_put_together),
        cmocka_unit_test(debris_is_swept),
        cmocka_unit_test(growth_is_followed_by_a_collection),
        cmocka_unit_test(a_day_is_followed_by_a_collection),
        cmocka_unit_test(a_full_disk_is_no_reason_to_collect_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
