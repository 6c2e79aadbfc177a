/* The controller's work queue on a loop of its own. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue.h"

#define KEYS 100
#define WORK_NS 1000000u /* a hundredth of all of them */

struct world {
    uv_loop_t loop;
    uv_timer_t tick;
    struct queue *queue;
    unsigned done, ticks; /* `ticks` while there was work left */
};

static void on_tick(uv_timer_t *timer)
{
    struct world *world = timer->data;

    if (world->done < KEYS)
        world->ticks++;
}

/* A key that is right as it is: it ends at once, and costs time. */
static void work(void *data, const char *ns, const char *name)
{
    struct world *world = data;
    uint64_t until = uv_hrtime() + WORK_NS;

    while (uv_hrtime() < until)
        ;
    queue_done(world->queue, ns, name, QUEUE_OK, 0);
    if (++world->done == KEYS)
        uv_close((uv_handle_t *)&world->tick, NULL);
}

static void keys_that_end_at_once_do_not_keep_the_loop_from_its_timers(void **state)
{
    struct world world = {0};
    char name[16];

    (void)state;
    assert_int_equal(uv_loop_init(&world.loop), 0);
    uv_timer_init(&world.loop, &world.tick);
    world.tick.data = &world;
    uv_timer_start(&world.tick, on_tick, 1, 1);
    world.queue = queue_new(&world.loop, 8, work, &world);
    assert_non_null(world.queue);
    for (int i = 0; i < KEYS; i++) {
        snprintf(name, sizeof name, "gate-%d", i);
        queue_add(world.queue, "ns", name);
    }
    queue_pause(world.queue, false);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_int_equal(world.done, KEYS);
    assert_true(world.ticks >= 2);
    queue_free(world.queue);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world.loop), 0);
}

/* ---- Keys that come again ------------------------------------------------------------------ */

struct again {
    struct queue *queue;
    unsigned calls;
};

/* Fails, is added while in work, is to come later, and is done: by itself, each leads to the next.
 */
static void work_again(void *data, const char *ns, const char *name)
{
    struct again *again = data;

    switch (++again->calls) {
    case 1:
        queue_done(again->queue, ns, name, QUEUE_FAILED, 0);
        break;
    case 2:
        queue_add(again->queue, ns, name);
        queue_done(again->queue, ns, name, QUEUE_OK, 0);
        break;
    case 3:
        queue_add_later(again->queue, ns, name, 1);
        queue_done(again->queue, ns, name, QUEUE_OK, 0);
        break;
    case 4:
        queue_done(again->queue, ns, name, QUEUE_OK, 1);
        break;
    default:
        queue_done(again->queue, ns, name, QUEUE_OK, 0);
    }
}

static void a_key_comes_again_until_it_is_done(void **state)
{
    struct again again = {0};
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    again.queue = queue_new(&loop, 1, work_again, &again);
    assert_non_null(again.queue);
    queue_pause(again.queue, false);
    for (unsigned round = 1; round <= 2; round++) {
        again.calls = 0;
        queue_add(again.queue, "ns", "gate");
        uv_run(&loop, UV_RUN_DEFAULT); /* ends: no timer is left */
        assert_int_equal(again.calls, 5);
    }
    queue_add_later(again.queue, "ns", "never", 1000000);
    queue_free(again.queue);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- Keys that yield ----------------------------------------------------------------------- */

static uint64_t passed_ns;

uint64_t __real_uv_hrtime(void);
uint64_t __wrap_uv_hrtime(void);
uint64_t __wrap_uv_hrtime(void)
{
    return __real_uv_hrtime() + passed_ns;
}

/* Keys are letters; each turn of one is written down, with a + when the rest of it was put off, and
 * a = when that rest is all there is to do. */
struct turns_taken {
    struct queue *queue;
    const char *added;  /* keys, in the first turn of "c"; a capital one: for later */
    uint64_t passes_ns; /* then */
    char comes_again;   /* the key that asks for that, after a while, when it yields */
    char order[32];
    size_t len;
};

static void add_keys(const struct turns_taken *taken, const char *ns)
{
    for (const char *added = taken->added; *added; added++) {
        const char key[2] = {(char)tolower(*added)};

        if (isupper(*added))
            queue_add_later(taken->queue, ns, key, 1000);
        else
            queue_add(taken->queue, ns, key);
    }
}

static void yield_if_others_wait(void *data, const char *ns, const char *name)
{
    struct turns_taken *taken = data;
    uint64_t again_ms = 0;

    if (*name == 'c' && !strchr(taken->order, 'c')) {
        passed_ns += taken->passes_ns;
        add_keys(taken, ns);
    }
    assert_in_range(taken->len, 0, sizeof taken->order - 3);
    taken->order[taken->len++] = *name;
    if (queue_resumes(taken->queue, ns, name))
        taken->order[taken->len++] = '=';
    if (queue_yield(taken->queue, ns, name)) {
        taken->order[taken->len++] = '+';
        again_ms = *name == taken->comes_again ? 1000 : 0;
    }
    queue_done(taken->queue, ns, name, QUEUE_OK, again_ms);
}

/* Of the keys a, b and c, one at a time. */
static void assert_turns(struct turns_taken taken, const char *order)
{
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    taken.queue = queue_new(&loop, 1, yield_if_others_wait, &taken);
    assert_non_null(taken.queue);
    queue_add(taken.queue, "ns", "a");
    queue_add(taken.queue, "ns", "b");
    queue_add(taken.queue, "ns", "c");
    queue_pause(taken.queue, false);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(taken.order, order);
    queue_free(taken.queue);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void assert_order(const char *added, uint64_t passes_ns, const char *order)
{
    assert_turns((struct turns_taken){.added = added, .passes_ns = passes_ns}, order);
}

static void what_keys_put_off_comes_after_those_that_wait(void **state)
{
    (void)state;
    assert_order("", 0, "a+b+ca=b=");
    assert_order("de", 0, "a+b+c+d+ea=b=c=d=");
}

static void what_is_added_to_a_key_that_yielded_is_not_put_off(void **state)
{
    (void)state;
    assert_order("b", 0, "a+b+c+ba=c=");
}

static void what_was_put_off_is_not_all_when_the_key_was_added_for_later(void **state)
{
    (void)state;
    assert_order("B", 0, "a+b+ca=b");
}

static void what_was_put_off_is_not_all_when_the_key_asked_to_come_again(void **state)
{
    (void)state;
    assert_turns((struct turns_taken){.added = "", .comes_again = 'a'}, "a+b+cab=");
}

static void a_key_that_comes_again_anyway_does_not_yield(void **state)
{
    (void)state;
    assert_order("cd", 0, "a+b+cd+ca=b=d=");
}

static void keys_that_are_added_without_end_do_not_keep_others_waiting(void **state)
{
    (void)state;
    assert_order("de", 11000000000u, "a+b+c+a=b=d+ec=d=");
}

/* ---- Namespaces ---------------------------------------------------------------------------- */

struct worked {
    struct queue *queue;
    char order[64]; /* the namespace's letter, the key's; + when the rest was put off */
};

static void note_work(void *data, const char *ns, const char *name)
{
    struct worked *worked = data;
    size_t len = strlen(worked->order);

    snprintf(worked->order + len, sizeof worked->order - len, "%s%s%s ", ns, name,
             queue_yield(worked->queue, ns, name) ? "+" : "");
    queue_done(worked->queue, ns, name, QUEUE_OK, 0);
}

static void a_namespace_with_many_keys_does_not_keep_others_waiting(void **state)
{
    struct worked worked = {0};
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    worked.queue = queue_new(&loop, 1, note_work, &worked);
    for (const char *key = "1\0002\0003\0004\0005\0"; *key; key += 2)
        queue_add(worked.queue, "m", key);
    queue_add(worked.queue, "a", "1");
    queue_add(worked.queue, "a", "2");
    queue_add(worked.queue, "z", "1");
    queue_pause(worked.queue, false);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(worked.order, "m1+ a1+ z1 m2+ a2 m3+ m4+ m5 m1 a1 m2 m3 m4 ");
    queue_free(worked.queue);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_end_at_once_do_not_keep_the_loop_from_its_timers),
        cmocka_unit_test(a_key_comes_again_until_it_is_done),
        cmocka_unit_test(what_keys_put_off_comes_after_those_that_wait),
        cmocka_unit_test(what_is_added_to_a_key_that_yielded_is_not_put_off),
        cmocka_unit_test(what_was_put_off_is_not_all_when_the_key_was_added_for_later),
        cmocka_unit_test(what_was_put_off_is_not_all_when_the_key_asked_to_come_again),
        cmocka_unit_test(a_key_that_comes_again_anyway_does_not_yield),
        cmocka_unit_test(keys_that_are_added_without_end_do_not_keep_others_waiting),
        cmocka_unit_test(a_namespace_with_many_keys_does_not_keep_others_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
