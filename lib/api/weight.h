/* What GitGates take in the memory of a program that serves all namespaces. */
#ifndef GITGATE_API_WEIGHT_H
#define GITGATE_API_WEIGHT_H

#include <stddef.h>

#include "data/document.h"

/* Of one namespace's, in all: two hundred with 64 upstreams each. So it takes several namespaces to
 * fill 128 MiB. */
#define GITGATE_NAMESPACE_MAX (32u << 20)

/* Of one, about in bytes, what it takes more than a usual one (of few upstreams, which weighs
 * nothing: how many there may be, ten thousand or more, is for a ResourceQuota to say): of its
 * spec, or of its status if that is larger. What is kept of a spec is smaller in one program, and a
 * status (it names hosts and addresses) in another. */
size_t gitgate_weight(const struct node *object);

#endif
