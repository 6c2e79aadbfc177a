#include "base/orphans.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ssh masters and git end at once when asked; the kubelet waits for 30 s. */
#define GRACE_S 5
#define POLL_NS 50000000 /* who is left to us meanwhile is not announced */

int orphans_adopt(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
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

static time_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void orphans_end(void)
{
    const struct timespec wait = {.tv_nsec = POLL_NS};
    time_t deadline = seconds() + GRACE_S;
    sigset_t ended;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    for (;;) {
        pid_t pid;

        signal_children(seconds() < deadline ? SIGTERM : SIGKILL);
        sigtimedwait(&ended, NULL, &wait);
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
        if (pid < 0 && errno == ECHILD)
            return;
    }
}
