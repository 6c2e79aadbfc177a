/* The validating webhooks, pure: the last word on a pod after all others have changed it, on
 * changes of a gated pod, and on GitGates. */
#ifndef GITGATE_WEBHOOK_VALIDATE_H
#define GITGATE_WEBHOOK_VALIDATE_H

#include "inject.h"

/* CREATE of pods, UPDATE of pods and of pods/ephemeralcontainers. */
void validate_pod(const struct review *review, struct gate_list gates,
                  const struct inject_options *options, struct decision *ret);

/* CREATE and UPDATE of gitgates: what gitgate_decode says. */
void validate_gitgate(const struct review *review, struct decision *ret);

#endif
