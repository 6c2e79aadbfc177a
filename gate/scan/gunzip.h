/* gzip files (RFC 1952): all that any program shows of one, also where it ends early, its sums are
 * wrong, or its header has flags that nobody knows. libarchive gives nothing of what it has
 * decoded when it finds out. */
#ifndef GITGATE_GATE_GUNZIP_H
#define GITGATE_GATE_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A negative result ends the reading and is returned. */
typedef int gunzip_fn(void *data, const char *bytes, size_t len, struct error *err);

/* Whether the bytes begin as a gzip file does. */
bool gunzip_begins(const char *data, size_t len);

/* The content of all its members, in a row. */
int gunzip(const char *data, size_t len, gunzip_fn *take, void *to, struct error *err);

#endif
