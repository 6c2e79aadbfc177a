/* GitGates that the watch does not know (yet), asked for directly: a gate made a moment before its
 * pod must be found.
 *
 * Whoever may create pods can name gates that don't exist, as often as they like. So a namespace
 * has one request under way at most, LOOKUPS_PAUSE_MS after the one before, for all that wait in
 * it: each is answered by one that began after it had come, and no namespace waits for another. */
#ifndef GITGATE_WEBHOOK_LOOKUPS_H
#define GITGATE_WEBHOOK_LOOKUPS_H

#include "gate.h"
#include "kube/client.h"

/* Nobody notices as long a delay of a pod that names no gate, and ten requests a second are next to
 * nothing for an API server. */
#define LOOKUPS_PAUSE_MS 100

/* At once. Namespaces are whatever reviews say: who reaches the webhook's port can make them up. */
#define LOOKUPS_NAMESPACES_MAX 64

/* Bytes of answers that are read at once: whoever writes GitGates decides how large they are. */
#define LOOKUPS_SMALL (256u << 10) /* one has room for this in any case */
#define LOOKUPS_ROOM (8u << 20)    /* and all together for this: two of the largest */

/* The API server waits as long as the webhook's timeoutSeconds (5): the request under way when a
 * review comes and its own must be over before. */
#define LOOKUPS_TIMEOUT_MS 2000

struct lookups;

/* The loop is the client's. NULL when memory is short. */
struct lookups *lookups_new(struct kube_client *client);

/* Before kube_client_free; timers close on the loop. Who waits is not called any more. NULL is
 * fine. */
void lookups_free(struct lookups *lookups);

/* `found`, good for the call: the gates that those who wait asked for, as many as there are.
 * `told` is false when the API server didn't say: then none is. Called later, never from within
 * lookups_ask. */
typedef void lookups_done_fn(void *data, struct gate_list found, bool told);

/* The strings must stay until `done`. False, and no `done`, when as many namespaces as may wait
 * already, or memory is short: then what the watch knows counts. */
bool lookups_ask(struct lookups *lookups, const char *namespace_, const char *name,
                 lookups_done_fn *done, void *data);

#endif
