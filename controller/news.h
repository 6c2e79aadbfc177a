/* What a change of the status is worth telling as Events. Pure. */
#ifndef GITGATE_CONTROLLER_NEWS_H
#define GITGATE_CONTROLLER_NEWS_H

#include <jansson.h>

#include "census.h"

/* The API server refuses a longer note
 * (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/). */
#define NEWS_NOTE_MAX 1023

/* An array of {type, reason, note, key}: what has the same key is the same Event again. `before`
 * (NULL: none) and `after` are the status; `census` (or NULL) names pods. NULL when memory is
 * short.
 *
 * A gate that is right from the start is no news. */
json_t *news_of(const json_t *before, const json_t *after, const struct census *census);

#endif
