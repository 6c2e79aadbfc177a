/* The work queue: one key a GitGate, each at most once in it and at most once in work.
 *
 * Namespaces take turns, each with the key that has waited longest: who has thousands delays others
 * by what is in work, and not by all that waits.
 *
 * A key that is added while it is in work comes again after. Failures wait longer each time, key by
 * key: a broken gate delays no other. Of a key that is done nothing is kept. */
#ifndef GITGATE_CONTROLLER_QUEUE_H
#define GITGATE_CONTROLLER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "metrics/metrics.h"

struct queue;

/* `work` is called from the loop and ends, at once or later, in queue_done for the same key. At
 * most `workers` keys are in work. */
struct queue *queue_new(uv_loop_t *loop, unsigned workers,
                        void (*work)(void *data, const char *ns, const char *name), void *data);

/* Counts under client-go's names, workqueue_*{name}. `name` is borrowed; `metrics` may be NULL. */
void queue_measure(struct queue *queue, struct metrics *metrics, const char *name);

/* Sets the gauges that grow by themselves: before each print of the metrics. */
void queue_collect(struct queue *queue);

/* Its timers close on the loop. NULL is fine. */
void queue_free(struct queue *queue);

/* A paused queue takes keys and starts none. It begins paused. */
void queue_pause(struct queue *queue, bool paused);

/* As soon as a worker is free. */
void queue_add(struct queue *queue, const char *ns, const char *name);

enum queue_result {
    QUEUE_OK,     /* forget earlier failures */
    QUEUE_FAILED, /* again, after the key's backoff */
};

/* After so long at the latest: for changes that come in swarms. */
void queue_add_later(struct queue *queue, const char *ns, const char *name, uint64_t ms);

/* In work, before queue_done: whether the namespace has others that have not been in work since
 * they were added, or many that are for the first time. Then what is left of this key's work is to
 * be put off: the key comes again by itself, after these, though not much later when they don't
 * end. Not twice in a row: what a key puts off is done by its next turn. Nor when it was added
 * meanwhile and so comes again anyway, for more than what is left. */
bool queue_yield(struct queue *queue, const char *ns, const char *name);

/* In work: whether it yielded in its turn before, which asked for nothing else (`again_ms`), and
 * was not added since. Then what was put off is all there is to do, and is still right. */
bool queue_resumes(const struct queue *queue, const char *ns, const char *name);

/* In work: how often in a row it failed before. */
unsigned queue_failures(const struct queue *queue, const char *ns, const char *name);

/* `again_ms`: come again after so long at the latest (0: not by itself). Strings that `work` was
 * given are not good any more after it. */
void queue_done(struct queue *queue, const char *ns, const char *name, enum queue_result result,
                uint64_t again_ms);

#endif
