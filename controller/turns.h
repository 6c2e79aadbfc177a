/* Whose turn it is, where the work of several tenants shares few hands. Pure.
 *
 * A tenant has at most so much in hand at once, and a hand that is free goes to the tenant that has
 * waited longest for one: who wants much, or what never ends, delays others by what it may have in
 * hand and not by all that it wants. */
#ifndef GITGATE_CONTROLLER_TURNS_H
#define GITGATE_CONTROLLER_TURNS_H

#include <stdbool.h>
#include <sys/queue.h>

struct turns;
struct tenant;

/* A piece of work that waits, or not (all zero). Part of the caller's own structure; it must not be
 * freed or moved while it waits. */
struct turn {
    struct tenant *tenant; /* in whose line it waits; NULL: it doesn't */
    TAILQ_ENTRY(turn) next;
};

/* `all`: how much is in hand at most; `each`: of one tenant. NULL when memory is short. */
struct turns *turns_new(unsigned all, unsigned each);

/* Forgets what waits and what is in hand. NULL is fine. */
void turns_free(struct turns *turns);

/* At the end of its tenant's line, if it doesn't wait already. 0 or -ENOMEM. */
int turns_wait(struct turns *turns, const char *tenant, struct turn *turn);

/* Whether it has something that waits, or so much in hand. */
bool turns_is_busy(const struct turns *turns, const char *tenant, unsigned in_hand);

/* Out of the line, if it waits. */
void turns_leave(struct turns *turns, struct turn *turn);

/* The one that turns_next would give, left where it is; or NULL. */
struct turn *turns_first(const struct turns *turns);

/* The one that is to be taken in hand now, out of its line; or NULL. `ret` is what turns_end wants
 * when that work is done. */
struct turn *turns_next(struct turns *turns, struct tenant **ret);
void turns_end(struct turns *turns, struct tenant *tenant);

#endif
