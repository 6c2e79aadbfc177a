/* From what was found and planned to the GitGate's status. Pure, like reconcile. */
#ifndef GITGATE_CONTROLLER_JUDGE_H
#define GITGATE_CONTROLLER_JUDGE_H

#include "reconcile.h"

/* The status, new, or NULL when it is the present one (or memory is short). `addresses`: of each
 * upstream an array. `problems`: of the credentials, an array of {path, message, reason}. `failed`:
 * the step that did, with why in `message`; or NULL. */
json_t *judge(const struct observed *observed, const json_t *addresses, const json_t *problems,
              const struct step *failed, const char *message, time_t now);

/* The same when the spec could not be decoded. */
json_t *judge_spec(const struct observed *observed, time_t now);

/* The index in "spec.upstreams[i]..."; GITGATE_UPSTREAMS_MAX of another path. */
size_t judge_upstream(const char *path);

#endif
