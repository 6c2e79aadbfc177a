#include "serve/init.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "base/orphans.h"

struct search {
    pid_t pid;
    bool found;
};

static void compare_pid(uv_handle_t *handle, void *data)
{
    struct search *search = data;

    if (handle->type == UV_PROCESS && uv_is_active(handle) &&
        uv_process_get_pid((uv_process_t *)handle) == search->pid)
        search->found = true;
}

static bool is_known(uv_loop_t *loop, pid_t pid)
{
    struct search search = {.pid = pid};

    uv_walk(loop, compare_pid, &search);
    return search.found;
}

static void on_again(uv_timer_t *timer);

/* waitid shows one child that has ended, without taking it. One of libuv's is in the way until
 * libuv, which got the same signal, has taken it: before the next turn of the loop. */
static void reap(struct init *init)
{
    for (;;) {
        siginfo_t child = {0};

        if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) < 0 || child.si_pid == 0)
            return;
        if (is_known(init->ended.loop, child.si_pid)) {
            uv_timer_start(&init->again, on_again, 1, 0);
            return;
        }
        waitpid(child.si_pid, NULL, WNOHANG);
    }
}

static void on_again(uv_timer_t *timer)
{
    reap(timer->data);
}

static void on_ended(uv_signal_t *ended, int signal_number)
{
    (void)signal_number;
    reap(ended->data);
}

int init_start(struct init *init, uv_loop_t *loop)
{
    int r = orphans_adopt();

    init->ended.data = init->again.data = init;
    uv_timer_init(loop, &init->again);
    uv_signal_init(loop, &init->ended);
    return r < 0 ? r : uv_signal_start(&init->ended, on_ended, SIGCHLD);
}
