#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"

/* ssh masters and git end at once when asked; the kubelet waits for 30 s. */
#define END_GRACE_NS 5000000000u
#define POLL_NS 50000000

/* Orphans (ssh's kept connections, hooks of a client that went away) become ours. */
static void adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reaps what has ended. The server's exit code when it is among them, else -1. */
static int reap(pid_t server)
{
    int code = -1, status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == server)
            code = exit_code(status);
    return code;
}

static int watch(pid_t server, const sigset_t *signals)
{
    for (;;) {
        int signal_number = sigwaitinfo(signals, NULL), code;

        if (signal_number == SIGTERM || signal_number == SIGINT)
            kill(server, SIGTERM);
        code = reap(server);
        if (code >= 0)
            return code;
    }
}

/* proc(5), /proc/pid/task/tid/children: whoever dies leaves us his own. */
static void signal_children(int signal_number)
{
    char path[64];
    FILE *list;
    int pid;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    list = fopen(path, "re");
    if (!list)
        return; /* as process 1 our end is theirs anyway */
    while (fscanf(list, "%d", &pid) == 1)
        kill(pid, signal_number);
    fclose(list);
}

static void end_all(const sigset_t *signals)
{
    uint64_t deadline_ns = clock_now_ns() + END_GRACE_NS;

    for (;;) {
        struct timespec wait = {.tv_nsec = POLL_NS};

        signal_children(clock_now_ns() < deadline_ns ? SIGTERM : SIGKILL);
        sigtimedwait(signals, NULL, &wait);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return;
    }
}

int init_supervise(void)
{
    sigset_t signals, before;
    pid_t server, self = getpid();
    int code;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    server = fork();
    if (server < 0) {
        perror("gitgate-gate: fork");
        return 1;
    }
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != self)
            exit(1);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return -1;
    }
    adopt();
    code = watch(server, &signals);
    end_all(&signals);
    return code;
}
