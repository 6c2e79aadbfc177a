/* Events on GitGates (events.k8s.io/v1), for `kubectl describe`.
 *
 * The same news again within minutes raises the count of the Event that is there; and a gate has a
 * budget, so that one that flaps fills no etcd. They are told when there is time: nothing waits for
 * them, and one that can't be written is dropped. */
#ifndef GITGATE_CONTROLLER_EVENTS_H
#define GITGATE_CONTROLLER_EVENTS_H

#include <jansson.h>
#include <stdint.h>

#include "digest.h"

struct controller;
struct gate_state;

#define EVENTS_REMEMBERED 8 /* of a gate */

struct told {
    struct digest key; /* none: free */
    char name[80];     /* of the Event */
    unsigned count;
    uint64_t last; /* uv_now */
};

/* What a gate's state remembers. */
struct events {
    struct told told[EVENTS_REMEMBERED];
    unsigned budget;
    uint64_t refilled; /* uv_now */
};

/* `news`: see news_of. `gate`: the object, whose metadata says what it is about. */
void events_tell(struct controller *controller, struct gate_state *state, const json_t *gate,
                 const json_t *news);

#endif
