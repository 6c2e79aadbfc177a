/* The Secrets that hold a gate's credentials, and who else reads one of them. */
#ifndef GITGATE_WEBHOOK_SECRETS_H
#define GITGATE_WEBHOOK_SECRETS_H

#include "api/gitgate.h"
#include "data/document.h"

/* What one gate's credentials are copied from, made once for it. */
struct secrets;

/* Borrows the gate's strings. NULL when memory is short. */
struct secrets *secrets_new(const struct gitgate *gate);
void secrets_free(struct secrets *secrets);

/* The name of a Secret that `node` (a volume, a container) takes something from and that holds a
 * credential of a gate: this one's copy, another gate's, or what this one's is copied from. NULL
 * when there is none; borrowed from the node. Each of the node's strings is looked up once: a pod
 * has 250,000 of them, if its maker wants. */
const char *secrets_find(const struct secrets *secrets, const struct node *node);

#endif
