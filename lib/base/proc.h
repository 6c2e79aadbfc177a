/* Runs a program to its end: bounded in time and output, no shell between. */
#ifndef GITGATE_BASE_PROC_H
#define GITGATE_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct proc_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env;  /* NULL-terminated "KEY=value"; NULL: this process's environment */
    const char *cwd;         /* NULL: this process's */
    const void *input;       /* written to standard input, then closed; NULL: empty input */
    size_t input_len;
    uint64_t timeout_ms; /* 0: none. Past it the program's whole process group is killed. */
    uint64_t memory_max; /* bytes that each of its processes may have as its own; 0: no limit */
    bool aside;          /* file descriptor 3 is a third output */
};

/* `out` and `err` belong to the caller, who sets their caps: output past a cap is read and dropped,
 * and the buffer's error says so (-E2BIG), as it does where some could not be read. */
struct proc_result {
    int exit_code;   /* 0..255; -1 when a signal ended it */
    int term_signal; /* 0 when it exited */
    bool timed_out;
    struct buf out;
    struct buf err;
    struct buf aside; /* as much of it as of `err` */
};

#define PROC_RESULT_INIT(out_max, err_max)                                                         \
    ((struct proc_result){.exit_code = -1,                                                         \
                          .out = BUF_INIT(out_max),                                                \
                          .err = BUF_INIT(err_max),                                                \
                          .aside = BUF_INIT(err_max)})
#define cleanup_proc CLEANUP(proc_result_done)

void proc_result_done(struct proc_result *result);

/* 0 when the program ran and ended in whatever way `result` tells; a negative errno when it could
 * not be started, or not be given its input. The program runs in a session of its own. */
int proc_run(const struct proc_spec *spec, struct proc_result *result, struct error *err);

/* "exit code 3", "signal 9", "no answer within 30 s": how a run ended, for messages. */
void proc_describe(const struct proc_spec *spec, const struct proc_result *result, struct buf *to);

#endif
