/* Asking the upstream for its refs, and fetching what they lead to. The repository's lock is held.
 */
#ifndef GITGATE_GATE_FETCH_H
#define GITGATE_GATE_FETCH_H

#include "gate.h"
#include "mirror/refs.h"

/* Of a first mirror: "<depth that is there> <step under way>". */
#define STEP_FILE OWN_DIR "/depth"

/* The upstream's refs. The error is one line for the client to read; what git said is logged. */
int fetch_list(const struct gate *gate, const struct upstream *upstream, const char *repo,
               struct refs *theirs, struct error *err);

/* Whether a first mirror broke off: the next fetch_all goes on with it. Till then the repository is
 * not to be served. */
bool fetch_unfinished(const char *repo);

/* Makes the refs of the repository, which has `mine`, the upstream's, which lately were `theirs`. A
 * first mirror of a long history comes in steps, each of which is kept. -EUCLEAN when the mirror
 * may be damaged. */
int fetch_all(const struct gate *gate, const struct upstream *upstream, const char *repo,
              const struct refs *mine, const struct refs *theirs, struct error *err);

/* What the upstream's HEAD is at, where that names no branch. No ref is made. */
int fetch_head(const struct gate *gate, const struct upstream *upstream, const char *repo,
               struct error *err);

#endif
