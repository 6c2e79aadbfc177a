/* The gate as the first process: whatever git and ssh leave behind becomes its child and is reaped
 * when it ends. The same process serves: one more would cost half as much memory as this one. When
 * it is killed, a pod's gate takes its PID namespace with it, and `gitgate run` ends what is left.
 */
#ifndef GITGATE_GATE_INIT_H
#define GITGATE_GATE_INIT_H

#include <uv.h>

struct init {
    uv_signal_t ended; /* SIGCHLD */
    uv_timer_t again;
};

/* Orphans below this process become its children from now on, and are reaped by `loop`. Processes
 * that were started with uv_spawn on `loop` stay libuv's. 0, or
 * -errno. */
int init_start(struct init *init, uv_loop_t *loop);

#endif
