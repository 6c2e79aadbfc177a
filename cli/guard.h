/* What `gitgate run` and `gitgate check` start, for as long as it runs. */
#ifndef GITGATE_CLI_GUARD_H
#define GITGATE_CLI_GUARD_H

#include "base/error.h"

/* Runs `run` in a process of its own, whose exit code it gives, until that ends; nothing that it
 * started outlives it, whatever ends it: SIGTERM, SIGINT and SIGHUP are handed on as SIGTERM; when
 * it is killed, what it leaves behind is ended here; when this process is killed, it gets SIGTERM.
 * `ret` is its exit code, or 128 and the signal. */
int guard_run(int (*run)(void *data), void *data, int *ret, struct error *err);

#endif
