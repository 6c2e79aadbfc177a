/* What a pod gets from its gate: containers, volumes, mounts. All of it is written out to the
 * fields that the API server would fill in by default, so that what comes back can be compared. */
#ifndef GITGATE_WEBHOOK_PARTS_H
#define GITGATE_WEBHOOK_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "gate.h"

#define CONTAINER_GATE "gitgate"
#define CONTAINER_ISOLATE "gitgate-isolate"

#define VOLUME_HOOKS "gitgate-hooks"
#define VOLUME_CREDS "gitgate-creds"
#define VOLUME_CLIENT "gitgate-client"
#define VOLUME_REPOS "gitgate-repos"
#define VOLUME_TMP "gitgate-tmp"
#define VOLUME_NO_TOKEN "gitgate-no-token"
#define PARTS_PREFIX "gitgate" /* of every name above */

#define CLIENT_GITCONFIG GITGATE_CLIENT_DIR "/gitconfig"

/* New references, NULL when memory is short. `image` is the installation's, used where the gate
 * names none. */

/* The init containers in the order that they run: gitgate-isolate (when the gate isolates), then
 * gitgate. */
json_t *parts_init_containers(const struct gitgate *gate, const char *image);

json_t *parts_volumes(const struct gitgate *gate);

/* The mount of the git configuration in every other container. */
json_t *parts_client_mount(void);

/* Is `theirs` the container (or volume) `ours`? The API server and LimitRanger may have respelled
 * or filled in quantities, which nobody gains by: these are not compared. On false `*field` names
 * what differs (borrowed). */
bool parts_same_container(const json_t *ours, const json_t *theirs, const char **field);
bool parts_same_volume(const json_t *ours, const json_t *theirs, const char **field);

#endif
