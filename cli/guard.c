#include "guard.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/orphans.h"

static void fill_signals(sigset_t *signals)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

    sigemptyset(signals);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(signals, numbers[i]);
}

static void become(int (*run)(void *data), void *data, pid_t parent, const sigset_t *signals)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* kept across exec */
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    sigprocmask(SIG_SETMASK, signals, NULL);
    exit(run(data));
}

/* Reaps what has ended. Whether `pid` is among it; its code. */
static bool reap(pid_t pid, int *code)
{
    bool found = false;
    int status;
    pid_t ended;

    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
        if (ended != pid)
            continue;
        *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        found = true;
    }
    return found;
}

int guard_run(int (*run)(void *data), void *data, int *ret, struct error *err)
{
    sigset_t signals, before;
    pid_t pid, self = getpid();
    int r = orphans_adopt();

    if (r < 0)
        return error_errno(err, r, "cannot watch over the gate");
    fill_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, &before);
    fflush(NULL); /* or it is written twice */
    pid = fork();
    if (pid < 0)
        return error_errno(err, -errno, "cannot start the gate");
    if (pid == 0)
        become(run, data, self, &before);
    memory_give_back();
    while (!reap(pid, ret)) {
        int number = sigwaitinfo(&signals, NULL);

        if (number > 0 && number != SIGCHLD)
            kill(pid, SIGTERM);
    }
    orphans_end();
    return 0;
}
