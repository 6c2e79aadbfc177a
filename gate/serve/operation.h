/* A fetch or a push from its connection's start to its end: what the phases told of it (event.h),
 * put together, and what it came to. Pure.
 *
 * Results, the values of "result" in the log and in the metrics:
 *   ok           the client got what it asked for; the upstream took all refs of a push
 *   nothing      a push that had nothing to send
 *   partial      the upstream took some refs and refused others
 *   denied       fetch.policy or push (policy, refs, force, delete) does not allow it
 *   secret       the push holds what reads like a secret
 *   scan-failed  the scan came to no verdict
 *   upstream     the upstream refused the push
 *   unavailable  no refresh: the upstream can't be reached, or the gate can't work
 *   failed       the rest: a client that went away, a push over the size limit, a repository that
 * is not there, a damaged one */
#ifndef GITGATE_GATE_OPERATION_H
#define GITGATE_GATE_OPERATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Adds an event to what is known (a new object; NULL when memory is short). What a later phase says
 * replaces what an earlier one said; the times stand side by side, in "ms". */
json_t *operation_new(void);
void operation_add(json_t *operation, const json_t *event);

/* git daemon has ended with `exit_code` (a signal: not 0) after `total_ms`. */
void operation_end(json_t *operation, int64_t exit_code, double total_ms);

enum operation_kind { OPERATION_NONE, OPERATION_FETCH, OPERATION_PUSH, OPERATION_MIRROR };

/* By its "service"; OPERATION_NONE when no phase was reached: no repository was. */
enum operation_kind operation_kind(const json_t *operation);

/* "" when there is none yet. */
const char *operation_text(const json_t *operation, const char *field);

#endif
