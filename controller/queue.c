#include "queue.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "kube/store.h"
#include "turns.h"

/* controller-runtime's 5 ms to 1000 s span; a person who repairs something waits for at most two
 * minutes here. */
#define BACKOFF_MIN_MS 50u
#define BACKOFF_MAX_MS 120000u

/* How long a key that yielded gives way: a thousand new GitGates take as long, and who adds keys
 * without end keeps it no longer. */
#define YIELD_NS 10000000000u

/* How long the loop may be kept from its sockets and timers: the lease's are seconds. */
#define SLICE_NS 10000000u

/* A key that failed and was added meanwhile: what was added may be the trace of the failure itself
 * (its status), so not at once; but it may be the repair, so not late. */
#define AGAIN_AFTER_FAILURE_MS 1000u

enum state { IDLE, READY, WORKING };

/* Of a key that waits, is in work, or has failed: of the others, which are most, there is none. */
struct item {
    struct queue *queue;
    TAILQ_ENTRY(item) next; /* while READY and it yields, in the line of those */
    struct turn turn;       /* while READY and it doesn't, in its namespace's line */
    struct tenant *tenant;  /* WORKING, and it did not yield before; NULL else */
    enum state state;
    bool again;        /* added while in work */
    bool yields;       /* READY: it waits in the line of these. WORKING: it is to */
    bool yielded;      /* WORKING: it did before */
    bool untouched;    /* nothing was added since it yielded */
    uint64_t later_ms; /* to be added so long after the work in hand; 0: not */
    unsigned failures;
    uint64_t since;    /* uv_hrtime: when it became READY, then WORKING */
    uv_timer_t *later; /* runs; NULL: none does */
};

TAILQ_HEAD(line, item);

struct counted {
    const char *name;
    struct metric *depth, *adds, *retries, *waited, *worked, *unfinished, *longest;
};

struct queue {
    uv_loop_t *loop;
    uv_check_t check; /* starts work from the loop, not from within queue_add */
    uv_idle_t idle;   /* keeps the loop from sleeping while the check has work */
    struct kube_store *items;
    struct turns *added; /* READY: a namespace's longest first, and namespaces in turn */
    struct line yielded; /* READY, longest first */
    unsigned workers, working, ready;
    unsigned fresh; /* of those in work, how many did not yield before */
    struct counted counted;
    bool paused;
    unsigned closing;
    void (*work)(void *data, const char *ns, const char *name);
    void *data;
};

static void free_timer(uv_handle_t *timer)
{
    free(timer);
}

static void stop_timer(struct item *item)
{
    if (item->later)
        uv_close((uv_handle_t *)item->later, free_timer);
    item->later = NULL;
}

static void release_item(void *item)
{
    stop_timer(item);
}

/* Found, or made; NULL when memory is short. */
static struct item *item_of(struct queue *queue, const char *ns, const char *name)
{
    struct item *item = kube_store_make(queue->items, ns, name, sizeof *item);

    if (item)
        item->queue = queue;
    return item;
}

/* ---- What is counted ---------------------------------------------------------------------- */

/* client-go's: 10 ns to 10 s in steps of ten. Below a millisecond nothing happens here. */
static const double seconds[] = {0.001, 0.01, 0.1, 1, 10, 100};

static double seconds_since(uint64_t since)
{
    return (double)(uv_hrtime() - since) / 1e9;
}

void queue_measure(struct queue *queue, struct metrics *metrics, const char *name)
{
    const size_t n = sizeof seconds / sizeof *seconds;
    const char *const *labels = LABELS("name");

    queue->counted = (struct counted){
        .name = name,
        .depth = metrics_gauge(metrics, "workqueue_depth", "Keys that wait for a worker.", labels),
        .adds = metrics_counter(metrics, "workqueue_adds_total", "Keys that came to wait.", labels),
        .retries = metrics_counter(metrics, "workqueue_retries_total",
                                   "Keys that come again because they failed.", labels),
        .waited = metrics_histogram(metrics, "workqueue_queue_duration_seconds",
                                    "How long a key waited for a worker.", labels, seconds, n),
        .worked = metrics_histogram(metrics, "workqueue_work_duration_seconds",
                                    "How long a key was in work.", labels, seconds, n),
        .unfinished = metrics_gauge(metrics, "workqueue_unfinished_work_seconds",
                                    "How long the keys in work have been so, together.", labels),
        .longest = metrics_gauge(metrics, "workqueue_longest_running_processor_seconds",
                                 "How long the one has been in work that is it longest.", labels),
    };
    metric_add(queue->counted.adds, 0, LABELS(name));
    metric_add(queue->counted.retries, 0, LABELS(name));
}

struct unfinished {
    double sum, longest;
};

static bool add_unfinished(void *data, const char *ns, const char *name, void *value)
{
    const struct item *item = value;
    struct unfinished *unfinished = data;
    double age = item->state == WORKING ? seconds_since(item->since) : 0;

    (void)ns;
    (void)name;
    unfinished->sum += age;
    if (age > unfinished->longest)
        unfinished->longest = age;
    return true;
}

void queue_collect(struct queue *queue)
{
    const struct counted *counted = &queue->counted;
    struct unfinished unfinished = {0};

    kube_store_each(queue->items, NULL, add_unfinished, &unfinished);
    metric_set(counted->depth, queue->ready, LABELS(counted->name));
    metric_set(counted->unfinished, unfinished.sum, LABELS(counted->name));
    metric_set(counted->longest, unfinished.longest, LABELS(counted->name));
}

/* ---- Starting work ------------------------------------------------------------------------ */

static void no_sleep(uv_idle_t *idle)
{
    (void)idle;
}

/* More come where many came just now: so many in work are as good as some that wait. */
static unsigned many(const struct queue *queue)
{
    return (queue->workers + 1) / 2;
}

/* Whether what yielded has others before it. */
static bool goes_behind(const struct queue *queue)
{
    return turns_first(queue->added) || queue->fresh >= many(queue);
}

static struct item *first_added(const struct queue *queue)
{
    struct turn *turn = turns_first(queue->added);

    return turn ? (struct item *)((char *)turn - offsetof(struct item, turn)) : NULL;
}

/* The one whose turn it is, or NULL. */
static struct item *next_item(const struct queue *queue)
{
    struct item *yielded = TAILQ_FIRST(&queue->yielded);

    if (yielded && (!goes_behind(queue) || uv_hrtime() - yielded->since > YIELD_NS))
        return yielded;
    return first_added(queue);
}

static bool has_work(const struct queue *queue)
{
    return next_item(queue) && !queue->paused && queue->working < queue->workers;
}

/* false: memory is short. */
static bool enter_line(struct item *item)
{
    if (!item->yields)
        return turns_wait(item->queue->added, kube_store_namespace_of(item), &item->turn) == 0;
    TAILQ_INSERT_TAIL(&item->queue->yielded, item, next);
    return true;
}

/* Of one that is first in it. */
static void leave_line(struct item *item)
{
    if (item->yields)
        TAILQ_REMOVE(&item->queue->yielded, item, next);
    else
        turns_next(item->queue->added, &item->tenant);
}

/* Most keys of a start are right as they are and end at once: thousands of them, were it not for
 * the slice, would keep the loop from renewing the lease. */
static void start_work(uv_check_t *check)
{
    struct queue *queue = check->data;
    uint64_t until = uv_hrtime() + SLICE_NS;

    while (has_work(queue) && uv_hrtime() < until) {
        struct item *item = next_item(queue);

        leave_line(item);
        metric_observe(queue->counted.waited, seconds_since(item->since),
                       LABELS(queue->counted.name));
        item->state = WORKING;
        item->yielded = item->yields;
        item->yields = false;
        queue->fresh += !item->yielded;
        item->since = uv_hrtime();
        queue->ready--;
        queue->working++;
        queue->work(queue->data, kube_store_namespace_of(item), kube_store_name_of(item));
    }
    if (has_work(queue)) /* in the loop's next round */
        return;
    uv_check_stop(&queue->check);
    uv_idle_stop(&queue->idle);
}

static void wake(struct queue *queue)
{
    if (!has_work(queue))
        return;
    uv_check_start(&queue->check, start_work);
    uv_idle_start(&queue->idle, no_sleep);
}

static void make_ready(struct item *item)
{
    struct queue *queue = item->queue;

    stop_timer(item);
    if (!enter_line(item))
        return; /* the watch's next event comes here again */
    item->state = READY;
    item->since = uv_hrtime();
    queue->ready++;
    metric_add(queue->counted.adds, 1, LABELS(queue->counted.name));
    wake(queue);
}

static void on_later(uv_timer_t *timer)
{
    make_ready(timer->data);
}

/* A timer that is due sooner (a retry) is left as it is. Without memory for one it is now. */
static void start_timer(struct item *item, uint64_t ms)
{
    if (item->later && uv_timer_get_due_in(item->later) <= ms)
        return;
    if (!item->later && (item->later = malloc(sizeof *item->later))) {
        uv_timer_init(item->queue->loop, item->later);
        item->later->data = item;
    }
    if (item->later)
        uv_timer_start(item->later, on_later, ms, 0);
    else
        make_ready(item);
}

/* Something new has come to what was put off. */
static void stop_yielding(struct item *item)
{
    if (!item->yields ||
        turns_wait(item->queue->added, kube_store_namespace_of(item), &item->turn) < 0)
        return;
    TAILQ_REMOVE(&item->queue->yielded, item, next);
    item->yields = false;
}

/* ---- The queue ---------------------------------------------------------------------------- */

struct queue *queue_new(uv_loop_t *loop, unsigned workers,
                        void (*work)(void *data, const char *ns, const char *name), void *data)
{
    struct queue *queue = calloc(1, sizeof *queue);

    if (!queue)
        return NULL;
    queue->items = kube_store_new(release_item);
    queue->added = turns_new(UINT_MAX, UINT_MAX);
    if (!queue->items || !queue->added) {
        kube_store_free(queue->items);
        turns_free(queue->added);
        free(queue);
        return NULL;
    }
    queue->loop = loop;
    queue->workers = workers;
    queue->paused = true;
    queue->work = work;
    queue->data = data;
    TAILQ_INIT(&queue->yielded);
    uv_check_init(loop, &queue->check);
    uv_idle_init(loop, &queue->idle);
    queue->check.data = queue->idle.data = queue;
    return queue;
}

static void on_closed(uv_handle_t *handle)
{
    struct queue *queue = handle->data;

    if (++queue->closing == 2)
        free(queue);
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    kube_store_free(queue->items);
    turns_free(queue->added);
    uv_close((uv_handle_t *)&queue->check, on_closed);
    uv_close((uv_handle_t *)&queue->idle, on_closed);
}

void queue_pause(struct queue *queue, bool paused)
{
    queue->paused = paused;
    wake(queue);
}

void queue_add(struct queue *queue, const char *ns, const char *name)
{
    struct item *item = item_of(queue, ns, name);

    if (!item)
        return; /* no memory: the watch's next event comes here again */
    item->untouched = false;
    if (item->state == WORKING)
        item->again = true;
    else if (item->state == IDLE)
        make_ready(item);
    else
        stop_yielding(item);
}

void queue_add_later(struct queue *queue, const char *ns, const char *name, uint64_t ms)
{
    struct item *item = item_of(queue, ns, name);

    if (!item)
        return;
    item->untouched = false;
    if (item->state == WORKING)
        item->later_ms = ms;
    else if (item->state == IDLE)
        start_timer(item, ms);
}

bool queue_yield(struct queue *queue, const char *ns, const char *name)
{
    struct item *item = kube_store_get(queue->items, ns, name);

    if (!item || item->yielded || item->again || item->later_ms ||
        !turns_is_busy(queue->added, ns, 1 + many(queue)))
        return false;
    return item->yields = item->again = item->untouched = true;
}

bool queue_resumes(const struct queue *queue, const char *ns, const char *name)
{
    const struct item *item = kube_store_get(queue->items, ns, name);

    return item && item->yielded && item->untouched;
}

unsigned queue_failures(const struct queue *queue, const char *ns, const char *name)
{
    const struct item *item = kube_store_get(queue->items, ns, name);

    return item ? item->failures : 0;
}

static uint64_t backoff(struct item *item)
{
    uint64_t delay = BACKOFF_MIN_MS;

    for (unsigned i = 0; i < item->failures && delay < BACKOFF_MAX_MS; i++)
        delay *= 2;
    item->failures++;
    return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}

void queue_done(struct queue *queue, const char *ns, const char *name, enum queue_result result,
                uint64_t again_ms)
{
    struct item *item = kube_store_get(queue->items, ns, name);
    uint64_t delay;

    if (!item || item->state != WORKING)
        return;
    queue->working--;
    queue->fresh -= !item->yielded;
    if (item->tenant)
        turns_end(queue->added, TAKE_PTR(item->tenant));
    item->state = IDLE;
    metric_observe(queue->counted.worked, seconds_since(item->since), LABELS(queue->counted.name));
    if (result == QUEUE_OK) {
        item->failures = 0;
    } else {
        item->yields = false;
        metric_add(queue->counted.retries, 1, LABELS(queue->counted.name));
    }
    delay = result == QUEUE_FAILED ? backoff(item) : again_ms;
    if (item->later_ms && result == QUEUE_OK && (!delay || item->later_ms < delay))
        delay = item->later_ms;
    item->later_ms = 0;
    if (delay) /* there is more to do than what was put off */
        item->untouched = false;
    if (item->again && result == QUEUE_FAILED && delay > AGAIN_AFTER_FAILURE_MS)
        delay = AGAIN_AFTER_FAILURE_MS;
    if (item->again && result == QUEUE_OK) {
        item->again = false;
        make_ready(item);
    } else if (delay) {
        item->again = false;
        start_timer(item, delay);
    } else {
        kube_store_remove(queue->items, ns, name);
    }
    wake(queue);
}
