/* One client of a repository at a time asks the upstream; the others are held for as long as that
 * helps, and no longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "serve/turn.h"

#define MS 1000000u

/* A turn whose last refresh took from 0 to `took`. */
static struct turn after_one(uint64_t took)
{
    struct turn turn = {0};

    turn_begin(&turn, 0);
    turn_end(&turn, took);
    return turn;
}

static void nobody_waits_for_nothing(void **state)
{
    struct turn turn = {0};

    (void)state;
    assert_true(turn_due(&turn) == UINT64_MAX);
    turn_arrive(&turn, 5 * MS);
    assert_int_equal(turn_due(&turn), 5 * MS); /* the first one, at once */
    turn_arrive(&turn, 6 * MS);
    assert_true(turn_due(&turn) <= 6 * MS); /* two that are first */
    turn = after_one(100 * MS);
    turn_arrive(&turn, 90 * MS);
    assert_true(turn_due(&turn) <= 100 * MS); /* a single one, at the end of another's */
}

static void one_asks_at_a_time(void **state)
{
    struct turn turn = {0};

    (void)state;
    turn_arrive(&turn, 1);
    turn_leave(&turn);
    turn_begin(&turn, 1);
    assert_true(turn_due(&turn) == UINT64_MAX);
    turn_arrive(&turn, 2);
    assert_int_equal(turn_due(&turn), 1 + TURN_MAX_NS); /* unless that one is stuck */
    turn_end(&turn, 100);
    assert_true(turn_due(&turn) <= 100);
}

static void a_crowd_is_waited_for_while_it_comes(void **state)
{
    struct turn turn = after_one(100 * MS);

    (void)state;
    turn_arrive(&turn, 98 * MS);
    turn_arrive(&turn, 99 * MS);
    assert_int_equal(turn_due(&turn), 149 * MS);
    turn_arrive(&turn, 120 * MS);
    assert_int_equal(turn_due(&turn), 170 * MS);
    turn_arrive(&turn, 290 * MS);
    assert_int_equal(turn_due(&turn), 300 * MS); /* no longer than two refreshes take */
}

static void a_long_refresh_makes_nobody_wait_long(void **state)
{
    struct turn turn = after_one(UINT64_C(600000) * MS);

    (void)state;
    turn_arrive(&turn, turn.ended_ns);
    turn_arrive(&turn, turn.ended_ns);
    assert_true(turn_due(&turn) <= turn.ended_ns + TURN_GATHER_MAX_NS);
}

static void an_end_that_comes_twice_counts_once(void **state)
{
    struct turn turn = after_one(100 * MS);

    (void)state;
    turn_end(&turn, 900 * MS);
    assert_int_equal(turn.ended_ns, 100 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_nothing),
        cmocka_unit_test(one_asks_at_a_time),
        cmocka_unit_test(a_crowd_is_waited_for_while_it_comes),
        cmocka_unit_test(a_long_refresh_makes_nobody_wait_long),
        cmocka_unit_test(an_end_that_comes_twice_counts_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
