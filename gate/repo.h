/* The bare repository of an upstream: made once, its configuration kept as it must be. */
#ifndef GITGATE_GATE_REPO_H
#define GITGATE_GATE_REPO_H

#include "gate.h"

/* Makes what is missing and repairs what differs: the repository, its configuration, our folder in
 * it, and the link <repos>/<host>/<path>.git that leads to it. Doing it again changes nothing. */
int repo_ensure(const struct gate *gate, const struct upstream *upstream, struct error *err);

/* The ref that HEAD names, "" when it names none ("refs/heads/" and what follows). */
void repo_head(const char *repo, char *ref, size_t size);

#endif
