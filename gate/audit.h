/* What the log says of a push's refs. A name that was not scanned may be a secret, or hold one: of
 * a push that was not let through, only names that the upstream has already are said. */
#ifndef GITGATE_GATE_AUDIT_H
#define GITGATE_GATE_AUDIT_H

#include "gate.h"
#include "policy.h"

/* Sends the event of the phase "scan" that began at `started_ns`, with the refs in "refs" (their
 * old and new values in any case), the rules that found something in "rules" (stolen; may be NULL),
 * and "result". What finds no room in it stands in lines of its own. */
void audit_scan(const struct gate *gate, const char *repo_name, const char *repo,
                const struct push *push, const char *result, json_t *rules, uint64_t started_ns);

#endif
