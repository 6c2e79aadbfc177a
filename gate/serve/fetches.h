/* What a client says of a fetch, and upload-pack keeps in memory whatever there is of it: what it
 * wants and has, names of refs, options. Looked at in passing, by what the kernel counts, so that
 * who fetches needs no process beside it; between two looks come some tens of MB. */
#ifndef GITGATE_GATE_FETCHES_H
#define GITGATE_GATE_FETCHES_H

#include "serve/connection.h"

/* 600,000 refs, as many as are mirrored, are wanted in half of this. */
#define FETCH_SAYS_MAX ((uint64_t)64 << 20)

void fetches_init(struct connections *connections);

/* A client is served that fetches: ended when it says more than FETCH_SAYS_MAX. */
void fetches_watch(struct connections *connections);

#endif
