/* What serve has done beside its clients: first mirrors, and the maintenance of repositories. */
#ifndef GITGATE_GATE_BACKGROUND_H
#define GITGATE_GATE_BACKGROUND_H

#include "serve/connection.h"

struct background {
    struct connections *connections; /* for what its children inherit */
    json_t *mirrored;                /* by name, the URL of all that were queued */
    json_t *to_mirror;               /* array of upstream names */
    json_t *changes;                 /* upstream name -> changes since its last maintenance */
    json_t *maintained;              /* upstream name -> when that began, ns */
    json_t *suspects;                /* names of those that may be damaged */
    json_t *checked;                 /* upstream name -> when that was last looked at, ns */
    uv_timer_t hourly, rest;
    size_t mirroring;
    bool maintaining;
    bool forgetting, forget_again;
    void (*on_forgotten)(void *data); /* an upstream may have come back meanwhile */
    void *data;
};

/* Listens to the connections' journal for what becomes of their fetches and pushes. */
int background_init(struct background *background, struct connections *connections,
                    struct error *err);

/* Has an upstream mirrored, once, and again when its URL changes. */
void background_mirror(struct background *background, const struct upstream *upstream);

/* Has the repositories removed of upstreams that the gate has no longer, and forgets what it knows
 * of them. For when the configuration was read. */
void background_forget(struct background *background);

/* Whether each first mirror is made or has failed. */
bool background_has_mirrored(const struct background *background);

#endif
