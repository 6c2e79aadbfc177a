/* Times as text: RFC 3339 in UTC, which is what logs and Kubernetes objects have. */
#ifndef GITGATE_BASE_TIMESTAMP_H
#define GITGATE_BASE_TIMESTAMP_H

#include <time.h>

#define TIMESTAMP_SIZE 64 /* also for a year of ten digits */

/* Digits of the fraction: metav1.Time has none, metav1.MicroTime six (Kubernetes conventions). */
enum timestamp_digits { TIMESTAMP_S = 0, TIMESTAMP_MS = 3, TIMESTAMP_US = 6 };

/* "2026-01-31T12:00:00.123Z" of `at`, cut and not rounded. */
void timestamp_format(const struct timespec *at, enum timestamp_digits digits,
                      char to[TIMESTAMP_SIZE]);

/* The same of now. */
void timestamp_now(enum timestamp_digits digits, char to[TIMESTAMP_SIZE]);

#endif
