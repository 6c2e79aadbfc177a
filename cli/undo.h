/* What `gitgate inject` leaves in a pod for `gitgate uninject`: the JSON Patch that takes it back,
 * in an annotation. */
#ifndef GITGATE_CLI_UNDO_H
#define GITGATE_CLI_UNDO_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

#define ANNOTATION_UNDO "gitgate.dev/undo"

/* Applies `patch` to a pod, which makes its annotations, and notes in it how that is taken back.
 * -EINVAL, -ENOMEM: the pod is then of no more use. */
int undo_patch(json_t *pod, const json_t *patch, struct error *err);

bool undo_is_noted(json_t *pod);

/* Takes back what was noted, if anything. -EINVAL: the pod was changed meanwhile, where the message
 * says, and is of no more use. */
int undo_pod(json_t *pod, struct error *err);

#endif
