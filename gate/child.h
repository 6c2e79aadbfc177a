/* A program whose output is read as it comes, bounded by a deadline. (lib/base/proc.h is for output
 * that fits in memory.) */
#ifndef GITGATE_GATE_CHILD_H
#define GITGATE_GATE_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct child {
    pid_t pid; /* and process group; 0: none */
    int pid_fd;
    int out; /* its standard output */
};

#define CHILD_INIT ((struct child){.pid_fd = -1, .out = -1})
#define cleanup_child __attribute__((cleanup(child_done)))

/* Starts `argv` in `cwd` with `env`; `in` and `err_fd` become its standard input and error and stay
 * the caller's. */
int child_start(struct child *child, const char *const *argv, char *const *env, const char *cwd,
                int in, int err_fd, struct error *err);

/* Bytes read, 0 at the end, -ETIMEDOUT past `deadline_ns` (clock_now_ns). */
ssize_t child_read(struct child *child, void *to, size_t len, uint64_t deadline_ns);

/* Waits for its end: the exit code, 128 + signal, or -ETIMEDOUT. */
int child_wait(struct child *child, uint64_t deadline_ns);

/* Kills its process group if it has not ended. */
void child_done(struct child *child);

#endif
