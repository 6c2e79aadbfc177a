/* Why git could not talk to the upstream, in one line for whoever reads it in the pod. Pure. */
#ifndef GITGATE_GATE_REASON_H
#define GITGATE_GATE_REASON_H

#include "api/gitgate.h"
#include "base/buf.h"
#include "base/proc.h"

/* Reads how git ended and what it and ssh said (LC_ALL=C), and appends a sentence made of ours: it
 * names the upstream's host and fields of the GitGate, never a path or a word of the message. */
void reason_add(struct buf *to, const struct upstream *upstream, size_t index,
                const struct proc_result *result);

#endif
