/* What programs that were killed left in a repository, taken away.
 *
 * The repository's lock is held, and presence_none said that nobody is at work there: so no push's
 * quarantine is in use, no ref is being moved, and each of these files is nobody's. */
#ifndef GITGATE_GATE_SWEEP_H
#define GITGATE_GATE_SWEEP_H

#include "base/error.h"

/* Returns how many files and folders went. */
int sweep_debris(const char *repo);

/* Lock files of refs alone ("packed-refs.lock", "refs/heads/main.lock"): refs move under the
 * repository's lock only, so whoever holds it knows them to be stale. */
int sweep_ref_locks(const char *repo);

/* rm -r */
void sweep_tree(const char *path);

#endif
