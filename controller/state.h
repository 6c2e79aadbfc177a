/* What the controller remembers of a GitGate from one reconcile to the next. All of it may be lost:
 * it only spares requests. No key material is in it. */
#ifndef GITGATE_CONTROLLER_STATE_H
#define GITGATE_CONTROLLER_STATE_H

#include <string.h>

#include "controller.h"
#include "events.h"
#include "sources.h"

/* The gate's status as we wrote it, until the watch tells something newer than what it told before
 * the write. */
struct written {
    uint64_t before; /* the gate's version that was seen before the write */
    char *text;      /* as it was sent; NULL: none */
};

/* A write on its way, and what the watch tells meanwhile: its trace, or somebody else's. */
struct write {
    bool under_way;
    unsigned told;    /* changes */
    uint64_t version; /* the last one led to; 0: it was deleted */
};

struct writes {
    struct write owned[OWNED_N], status;
};

/* Strings one behind the other, and an empty one behind them; NULL: none. */
#define strings_each(strings, string)                                                              \
    for ((string) = (strings) ? (strings) : ""; *(string); (string) += strlen(string) + 1)

/* Lies in controller->states: its key is the gate's. There are as many as gates, so it is small:
 * what only a job needs is the job's. */
struct gate_state {
    struct controller *controller;
    char *hosts;                /* that the resolver holds for this gate */
    char *references;           /* keys in controller->references */
    uint64_t accepted[OWNED_N]; /* see struct observed */
    struct writes *writes;      /* of the job in work; NULL: there is none */
    struct written status;
    uint64_t status_version; /* of the gate, after our last write of its status; 0: none */
    struct digest made_from; /* what creds_problems is about */
    char *creds_problems;    /* JSON: a tree takes five times as much; NULL: none */
    struct events *events;   /* that were told; NULL: none yet */
    char *put_off;           /* a status that is still to be sent (job_status.c); NULL: none */
};

/* Found, or made; NULL when memory is short. */
struct gate_state *state_of(struct controller *controller, const char *ns, const char *name);

/* For kube_store_new. */
void state_done(void *state);

/* Holds the hosts that this gate needs looked up, drops the others. */
int state_hold_hosts(struct gate_state *state, const struct gitgate *gate);
bool state_holds(const struct gate_state *state, const char *host);

/* The index of references: from an object to the gates that name it. NULL when memory is short. */
struct kube_store *references_new(void);

/* Enters the gate as one that refers to these objects, and to no others. */
int state_refer(struct gate_state *state, const struct sources *sources);

/* Calls `each` for the gates that refer to the object. */
void references_each(struct controller *controller, const struct kube_resource *resource,
                     const char *ns, const char *name,
                     void (*each)(struct controller *controller, const char *ns, const char *gate));

/* The upstream's address where no name has to be looked up: by extraHosts, or because its host is
 * one. Else NULL. */
const char *fixed_address(const struct gitgate *gate, const struct upstream *upstream);

/* The watch tells of our own write: there is nothing to be done for it. */
bool state_is_own_write(const struct gate_state *state, enum owned which, const struct seen *seen);

/* The version at which the object was right; 0: it is to be looked at anew. */
void state_accept(struct gate_state *state, enum owned which, uint64_t version);
void state_accept_nothing(struct gate_state *state);

/* The object as it is: what the watch tells, or what we wrote after that. */
const struct seen *state_see(const struct gate_state *state, enum owned which);

/* The watch tells of the object (NULL: it is gone). True while a write of it is on its way: whether
 * that is all there is to it shows when the write ends. */
bool state_told(struct gate_state *state, enum owned which, const struct seen *seen);

/* Around each write. `object`: the API server's answer; NULL after a delete. If the watch told of
 * the object in between, it knows better: perhaps someone has deleted it again. True when it told
 * of more than this write: there is something to be looked at. */
void state_will_write(struct gate_state *state, enum owned which);
bool state_wrote(struct gate_state *state, enum owned which, const struct node *object);

/* The status as it is: a new reference; NULL: there is none. `gate` is the GitGate at `version`. */
json_t *state_see_status(struct gate_state *state, uint64_t version, const json_t *gate);

/* Likewise of the status. Versions of the gate: `before` was seen before the write, which led to
 * `after`, or NULL. `text` is what was sent, and is the state's from now on. */
void state_will_write_status(struct gate_state *state);
bool state_wrote_status(struct gate_state *state, uint64_t before, const char *after, char *text);

/* The watch tells of our own write of the status: there is nothing to be done for it. */
bool state_is_own_status(const struct gate_state *state, uint64_t version);

/* The watch tells of this version of the gate: what we wrote of its status is in it. True while a
 * write of its status is on its way, as state_told. */
bool state_told_gate(struct gate_state *state, uint64_t version);

/* What was found wrong with the credentials; it is about what has that digest. */
void state_remember_creds(struct gate_state *state, const struct digest *made_from,
                          const json_t *problems);

/* Whether that is known of what has this digest; gives the list, new, or NULL: nothing was wrong.
 */
bool state_knows_creds(const struct gate_state *state, const struct digest *made_from,
                       json_t **ret);

#endif
