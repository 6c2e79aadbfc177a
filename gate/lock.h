/* One repository, one mover of its refs: the lock that refresh and forward hold, and in the same
 * file what the last refresh came to, so that those who waited for it can share it. */
#ifndef GITGATE_GATE_LOCK_H
#define GITGATE_GATE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "api/url.h"
#include "base/buf.h"
#include "base/error.h"

#define LOCK_FILE "gitgate/lock"
#define REFRESH_MESSAGE_MAX 1000

struct refresh_record {
    uint64_t started_ns; /* clock_now_ns when it began to ask the upstream */
    bool ok;
    char url[URL_MAX + 1];                 /* which one it asked */
    char message[REFRESH_MESSAGE_MAX + 1]; /* for the client, when it failed */
};

/* CLOCK_BOOTTIME: goes on while the machine sleeps, and nobody sets it. */
uint64_t clock_now_ns(void);

/* Milliseconds since then, with two digits behind the point. */
double clock_ms_since(uint64_t from_ns);

/* Waits for the lock at most `timeout_ms`; the file descriptor holds it until it is closed, also by
 * the end of the process. -ETIMEDOUT. Installs a handler for SIGALRM. */
int lock_take(const char *repo, uint64_t timeout_ms, int *fd, struct error *err);

/* False when there is none, or one of another boot (its clock means nothing here). */
bool lock_read_record(int fd, struct refresh_record *ret);

/* Without fsync: a record that gets lost costs one refresh. */
void lock_write_record(int fd, const struct refresh_record *record);

#endif
