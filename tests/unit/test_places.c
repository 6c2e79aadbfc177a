/* Who gives way in the webhook when there is no place: of connections, and of the memory for bodies
 * and answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connections.h"
#include "room.h"

/* ---- Connections --------------------------------------------------------------------------- */

#define MAX 3

struct world {
    struct connections all;
    struct connection *list[8];
    size_t n;
};

/* One that has come into `state` at `ms`. */
static struct connection *come(struct world *world, enum connection_state state, uint64_t ms)
{
    struct connection *connection = connection_new(&world->all, NULL, ms);

    assert_non_null(connection);
    connection_enter(&world->all, connection, state, ms);
    world->list[world->n++] = connection;
    return connection;
}

static void end(struct world *world)
{
    for (size_t i = 0; i < world->n; i++)
        connection_free(&world->all, world->list[i]);
    assert_int_equal(world->all.n, 0);
}

static void nobody_goes_while_there_is_room(void **state)
{
    struct world world = {.n = 0};

    (void)state;
    connections_init(&world.all, MAX);
    for (int i = 0; i < MAX; i++) {
        struct connection *newcomer = come(&world, CONNECTION_NEW, 0);

        assert_null(connections_surplus(&world.all, newcomer, 100000));
    }
    end(&world);
}

static void who_never_asked_goes_first_and_of_these_the_oldest(void **state)
{
    struct world world = {.n = 0};
    struct connection *first, *second, *newcomer;

    (void)state;
    connections_init(&world.all, MAX);
    come(&world, CONNECTION_IDLE, 0);
    first = come(&world, CONNECTION_NEW, 1);
    second = come(&world, CONNECTION_NEW, 1);
    newcomer = come(&world, CONNECTION_NEW, 2);
    assert_ptr_equal(connections_surplus(&world.all, newcomer, 2), first);
    connection_enter(&world.all, first, CONNECTION_GOING, 2);
    assert_null(connections_surplus(&world.all, newcomer, 2)); /* it counts no more */
    connection_enter(&world.all, first, CONNECTION_IDLE, 2);
    newcomer = come(&world, CONNECTION_NEW, 3);
    assert_ptr_equal(connections_surplus(&world.all, newcomer, 3), second); /* nor comes back */
    end(&world);
}

static void who_asks_slowly_goes_before_who_is_idle_and_who_has_just_asked_does_not(void **state)
{
    struct world world = {.n = 0};
    struct connection *idle, *asking, *newcomer;

    (void)state;
    connections_init(&world.all, MAX);
    idle = come(&world, CONNECTION_IDLE, 0);
    come(&world, CONNECTION_IDLE, 5);
    asking = come(&world, CONNECTION_ASKING, 10000);
    newcomer = come(&world, CONNECTION_NEW, 10500);
    assert_ptr_equal(connections_surplus(&world.all, newcomer, 10500), idle);
    assert_ptr_equal(connections_surplus(&world.all, newcomer, 11500), asking);
    connection_enter(&world.all, asking, CONNECTION_ASKING, 11400); /* it has read something */
    assert_ptr_equal(connections_surplus(&world.all, newcomer, 11500), idle);
    end(&world);
}

static void nobody_goes_whose_request_is_worked_on(void **state)
{
    struct world world = {.n = 0};
    struct connection *newcomer;

    (void)state;
    connections_init(&world.all, MAX);
    for (int i = 0; i < MAX; i++)
        come(&world, CONNECTION_AT_WORK, 0);
    newcomer = come(&world, CONNECTION_NEW, 100000);
    assert_ptr_equal(connections_surplus(&world.all, newcomer, 100000), newcomer);
    end(&world);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static struct room room;
static struct holding *gave[8];
static size_t n_gave;

static void give_way(struct holding *holding)
{
    gave[n_gave++] = holding;
    room_leave(&room, holding);
}

static int set_up(void **state)
{
    (void)state;
    n_gave = 0;
    room_init(&room, give_way);
    return 0;
}

#define HALF (ROOM_MAX / 2)

static bool enter(struct holding *holding, enum holding_kind kind, size_t size, uint64_t ms)
{
    return room_enter(&room, holding, kind, size, ms);
}

static void what_is_larger_gives_way_to_what_is_smaller(void **state)
{
    static const enum holding_kind kinds[] = {HOLDING_COMING, HOLDING_ANSWER};

    for (size_t i = 0; i < 2; i++) {
        struct holding large = {0}, small = {0}, other = {0};

        set_up(state);
        assert_true(enter(&large, kinds[i], HALF + 1, 0));
        assert_true(enter(&small, kinds[i], HALF - 1, 0));
        assert_false(enter(&other, HOLDING_COMING, HALF + 2, 0));
        assert_int_equal(n_gave, 0);
        assert_true(enter(&other, HOLDING_COMING, HALF, 0));
        assert_int_equal(n_gave, 1);
        assert_ptr_equal(gave[0], &large);
        assert_int_equal(room.held, HALF - 1 + HALF);
    }
}

static void a_whole_body_gives_way_to_nobody(void **state)
{
    struct holding whole = {0}, other = {0};

    (void)state;
    assert_true(enter(&whole, HOLDING_COMING, ROOM_MAX, 0));
    room_whole(&room, &whole);
    assert_false(enter(&other, HOLDING_COMING, 1, 100000));
    assert_false(enter(&other, HOLDING_ANSWER, 1, 100000));
    room_leave(&room, &whole);
    assert_true(enter(&other, HOLDING_ANSWER, 1, 100000));
}

static void who_is_waited_for_too_long_gives_way_whatever_it_holds(void **state)
{
    struct holding read = {0}, unread = {0}, body = {0}, other = {0};

    (void)state;
    assert_true(enter(&read, HOLDING_ANSWER, HALF, 0));
    assert_true(enter(&unread, HOLDING_ANSWER, 1, 1));
    assert_true(enter(&body, HOLDING_COMING, HALF - 1, 2));
    room_read(&room, &read, 1000);
    assert_true(enter(&other, HOLDING_COMING, HALF - 1, 1500));
    assert_int_equal(n_gave, 2);
    assert_ptr_equal(gave[0], &unread);
    assert_ptr_equal(gave[1], &body);
}

static void what_is_larger_than_all_room_makes_nobody_go(void **state)
{
    struct holding answer = {0}, other = {0};

    (void)state;
    assert_true(enter(&answer, HOLDING_ANSWER, 1, 0));
    assert_false(enter(&other, HOLDING_ANSWER, (size_t)ROOM_MAX + 1, 100000));
    assert_int_equal(n_gave, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_goes_while_there_is_room),
        cmocka_unit_test(who_never_asked_goes_first_and_of_these_the_oldest),
        cmocka_unit_test(who_asks_slowly_goes_before_who_is_idle_and_who_has_just_asked_does_not),
        cmocka_unit_test(nobody_goes_whose_request_is_worked_on),
        cmocka_unit_test_setup(what_is_larger_gives_way_to_what_is_smaller, set_up),
        cmocka_unit_test_setup(a_whole_body_gives_way_to_nobody, set_up),
        cmocka_unit_test_setup(who_is_waited_for_too_long_gives_way_whatever_it_holds, set_up),
        cmocka_unit_test_setup(what_is_larger_than_all_room_makes_nobody_go, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
