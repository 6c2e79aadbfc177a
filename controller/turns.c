#include "turns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/store.h"

TAILQ_HEAD(line, turn);

/* Who waits for something or has something in hand. */
struct tenant {
    struct line line;
    unsigned in_hand;
    bool in_ring;
    TAILQ_ENTRY(tenant) next;
};

struct turns {
    unsigned all, each, in_hand;
    struct kube_store *tenants;
    TAILQ_HEAD(, tenant) ring; /* those that may have one more in hand, longest waiting first */
};

struct turns *turns_new(unsigned all, unsigned each)
{
    struct turns *turns = calloc(1, sizeof *turns);

    if (!turns)
        return NULL;
    turns->all = all;
    turns->each = each;
    turns->tenants = kube_store_new(NULL);
    TAILQ_INIT(&turns->ring);
    if (turns->tenants)
        return turns;
    free(turns);
    return NULL;
}

void turns_free(struct turns *turns)
{
    if (!turns)
        return;
    kube_store_free(turns->tenants);
    free(turns);
}

static struct tenant *tenant_of(struct turns *turns, const char *name)
{
    struct tenant *tenant = kube_store_make(turns->tenants, "", name, sizeof *tenant);

    if (tenant && !tenant->line.tqh_last) /* new */
        TAILQ_INIT(&tenant->line);
    return tenant;
}

/* Into the ring (at its end) or out of it, as it should be; and away, if there is nothing left. */
static void settle(struct turns *turns, struct tenant *tenant)
{
    bool wants = !TAILQ_EMPTY(&tenant->line) && tenant->in_hand < turns->each;

    if (wants && !tenant->in_ring)
        TAILQ_INSERT_TAIL(&turns->ring, tenant, next);
    else if (!wants && tenant->in_ring)
        TAILQ_REMOVE(&turns->ring, tenant, next);
    tenant->in_ring = wants;
    if (TAILQ_EMPTY(&tenant->line) && !tenant->in_hand)
        kube_store_remove(turns->tenants, "", kube_store_name_of(tenant));
}

int turns_wait(struct turns *turns, const char *name, struct turn *turn)
{
    struct tenant *tenant;

    if (turn->tenant)
        return 0;
    tenant = tenant_of(turns, name);
    if (!tenant)
        return -ENOMEM;
    turn->tenant = tenant;
    TAILQ_INSERT_TAIL(&tenant->line, turn, next);
    settle(turns, tenant);
    return 0;
}

bool turns_is_busy(const struct turns *turns, const char *name, unsigned in_hand)
{
    const struct tenant *tenant = kube_store_get(turns->tenants, "", name);

    return tenant && (!TAILQ_EMPTY(&tenant->line) || tenant->in_hand >= in_hand);
}

static void take_out(struct turn *turn)
{
    TAILQ_REMOVE(&turn->tenant->line, turn, next);
    turn->tenant = NULL;
}

void turns_leave(struct turns *turns, struct turn *turn)
{
    struct tenant *tenant = turn->tenant;

    if (!tenant)
        return;
    take_out(turn);
    settle(turns, tenant);
}

struct turn *turns_first(const struct turns *turns)
{
    const struct tenant *tenant = TAILQ_FIRST(&turns->ring);

    return tenant && turns->in_hand < turns->all ? TAILQ_FIRST(&tenant->line) : NULL;
}

struct turn *turns_next(struct turns *turns, struct tenant **ret)
{
    struct turn *turn = turns_first(turns);
    struct tenant *tenant;

    if (!turn)
        return NULL;
    tenant = turn->tenant;
    take_out(turn);
    tenant->in_hand++;
    turns->in_hand++;
    TAILQ_REMOVE(&turns->ring, tenant, next); /* the next time it is the last of all */
    tenant->in_ring = false;
    settle(turns, tenant);
    *ret = tenant;
    return turn;
}

void turns_end(struct turns *turns, struct tenant *tenant)
{
    tenant->in_hand--;
    turns->in_hand--;
    settle(turns, tenant);
}
