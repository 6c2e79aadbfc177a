/* The bare repository of an upstream: made once, its configuration kept as it must be. */
#ifndef GITGATE_GATE_REPO_H
#define GITGATE_GATE_REPO_H

#include "gate.h"

/* Makes what is missing and repairs what differs: the repository, its configuration, our folder in
 * it, and the link <repos>/<host>/<path>.git that leads to it. Doing it again changes nothing. */
int repo_ensure(const struct gate *gate, const struct upstream *upstream, struct error *err);

/* The ref that HEAD names, "" when it names none ("refs/heads/" and what follows). 0, or a negative
 * errno (and "") when HEAD can't be read. */
int repo_head(const char *repo, char *ref, size_t size);

/* Whether HEAD names no ref and has this id. */
bool repo_head_is(const char *repo, const char *oid);

/* Removes the repository of an upstream that there is no more, with the link to it and the
 * connections that were kept for it. Nobody is at work in it: presence_none said so, and the
 * repository's lock is held. */
int repo_remove(const struct gate *gate, const char *name, struct error *err);

#endif
