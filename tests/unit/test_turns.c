/* Tenants that take turns: who comes next, and what one that never ends can do to others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "turns.h"

#define ALL 4
#define EACH 2

struct world {
    struct turns *turns;
    struct turn of_a[8], of_b[8], of_c[8];
};

static int set_up(void **state)
{
    static struct world world;

    world = (struct world){.turns = turns_new(ALL, EACH)};
    *state = &world;
    return world.turns ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    turns_free(world->turns);
    return 0;
}

static void wait_all(struct world *world, const char *tenant, struct turn *turns, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(turns_wait(world->turns, tenant, &turns[i]), 0);
}

static struct tenant *expect_next(struct world *world, const struct turn *turn)
{
    struct tenant *tenant = NULL;

    assert_ptr_equal(turns_next(world->turns, &tenant), turn);
    return tenant;
}

static void a_tenant_has_its_part_in_hand_and_no_more(void **state)
{
    struct world *world = *state;
    struct tenant *a;

    wait_all(world, "a", world->of_a, 8);
    a = expect_next(world, &world->of_a[0]);
    expect_next(world, &world->of_a[1]);
    expect_next(world, NULL);
    assert_true(turns_is_busy(world->turns, "a", EACH + 1)); /* something waits */
    assert_false(turns_is_busy(world->turns, "b", 1));
    turns_end(world->turns, a);
    expect_next(world, &world->of_a[2]);
    expect_next(world, NULL);
}

static void one_whose_work_never_ends_delays_nobody_while_there_are_hands(void **state)
{
    struct world *world = *state;
    struct tenant *b;

    wait_all(world, "a", world->of_a, 8);
    expect_next(world, &world->of_a[0]);
    expect_next(world, &world->of_a[1]);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(turns_wait(world->turns, "b", &world->of_b[i]), 0);
        b = expect_next(world, &world->of_b[i]);
        turns_end(world->turns, b);
    }
}

static void tenants_take_turns_and_who_comes_late_is_not_last_of_all(void **state)
{
    struct world *world = *state;
    struct tenant *a, *b;

    wait_all(world, "a", world->of_a, 4);
    wait_all(world, "b", world->of_b, 4);
    a = expect_next(world, &world->of_a[0]);
    b = expect_next(world, &world->of_b[0]);
    expect_next(world, &world->of_a[1]);
    expect_next(world, &world->of_b[1]);
    expect_next(world, NULL); /* all hands are full */
    wait_all(world, "c", world->of_c, 1);
    turns_end(world->turns, a);
    expect_next(world, &world->of_c[0]); /* before the rest of a, who waits anew from now on */
    turns_end(world->turns, b);
    expect_next(world, &world->of_a[2]);
    expect_next(world, NULL);
}

static void who_leaves_the_line_is_not_called(void **state)
{
    struct world *world = *state;

    wait_all(world, "a", world->of_a, 3);
    turns_leave(world->turns, &world->of_a[0]);
    turns_leave(world->turns, &world->of_a[0]);
    expect_next(world, &world->of_a[1]);
    turns_leave(world->turns, &world->of_a[2]);
    expect_next(world, NULL);
    wait_all(world, "a", world->of_a, 1);
    expect_next(world, &world->of_a[0]);
}

static void who_waits_already_has_one_place(void **state)
{
    struct world *world = *state;

    wait_all(world, "a", world->of_a, 1);
    wait_all(world, "a", world->of_a, 1);
    expect_next(world, &world->of_a[0]);
    expect_next(world, NULL);
}

static void a_tenant_that_left_while_its_work_is_in_hand_comes_back_as_the_same(void **state)
{
    struct world *world = *state;
    struct tenant *a;

    wait_all(world, "a", world->of_a, 3);
    a = expect_next(world, &world->of_a[0]);
    expect_next(world, &world->of_a[1]);
    turns_leave(world->turns, &world->of_a[2]);
    wait_all(world, "a", world->of_a, 1);
    expect_next(world, NULL); /* it still has its part in hand */
    turns_end(world->turns, a);
    turns_end(world->turns, a);
    a = expect_next(world, &world->of_a[0]);
    turns_end(world->turns, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tenant_has_its_part_in_hand_and_no_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            one_whose_work_never_ends_delays_nobody_while_there_are_hands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tenants_take_turns_and_who_comes_late_is_not_last_of_all,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_the_line_is_not_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waits_already_has_one_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_tenant_that_left_while_its_work_is_in_hand_comes_back_as_the_same, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
