/* Checked parsing of the small texts that configuration is made of. Each returns 0, or -EINVAL for
 * a text of another form and -ERANGE for a value out of bounds; nothing is written then. */
#ifndef GITGATE_BASE_PARSE_H
#define GITGATE_BASE_PARSE_H

#include <stdint.h>

/* Decimal digits alone: no sign, no space, no other base. */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);

/* A Kubernetes quantity of bytes: digits, optionally with Ki, Mi, Gi, Ti, k, M, G or T behind.
 * (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/) */
int parse_bytes(const char *text, uint64_t *ret);

/* A duration as Go writes it, whole units only: "500ms", "120s", "2m", "1h30m". Result in
 * milliseconds. */
int parse_duration_ms(const char *text, uint64_t *ret);

#endif
