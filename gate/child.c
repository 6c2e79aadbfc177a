#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lock.h"

static int spawn(struct child *child, const char *const *argv, char *const *env, const char *cwd,
                 const int fds[3])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int r;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigfillset(&defaults);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
    /* These take memory: git with our input, which has been read, would list nothing new. */
    r = posix_spawn_file_actions_addchdir_np(&actions, cwd);
    for (int i = 0; r == 0 && i < 3; i++)
        r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    if (r == 0)
        r = posix_spawnp(&child->pid, argv[0], &actions, &attributes, (char *const *)argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (r != 0)
        child->pid = 0;
    return -r;
}

int child_start(struct child *child, const char *const *argv, char *const *env, const char *cwd,
                int in, int err_fd, struct error *err)
{
    cleanup_close int write_end = -1;
    int ends[2], r;

    *child = CHILD_INIT;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, -errno, "cannot run %s", argv[0]);
    child->out = ends[0];
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20); /* fewer turns; where that is too much, as it is */
    write_end = ends[1];
    r = spawn(child, argv, env, cwd, (const int[3]){in, write_end, err_fd});
    if (r < 0)
        return error_errno(err, r, "cannot run %s", argv[0]);
    child->pid_fd = pidfd_open(child->pid, 0);
    if (child->pid_fd < 0)
        return error_errno(err, -errno, "cannot watch %s", argv[0]);
    return 0;
}

/* 0 when `fd` is ready. */
static int wait_for(int fd, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        uint64_t now = clock_now_ns();
        int r;

        if (now >= deadline_ns)
            return -ETIMEDOUT;
        r = poll(&poll_fd, 1, (int)((deadline_ns - now) / 1000000u) + 1);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

ssize_t child_read(struct child *child, void *to, size_t len, uint64_t deadline_ns)
{
    int r = wait_for(child->out, deadline_ns);
    ssize_t n;

    if (r < 0)
        return r;
    do
        n = read(child->out, to, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int child_wait(struct child *child, uint64_t deadline_ns)
{
    int r = wait_for(child->pid_fd, deadline_ns), status;

    if (r < 0)
        return r;
    while (waitpid(child->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    child->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void child_done(struct child *child)
{
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (child->pid_fd >= 0)
        close(child->pid_fd);
    if (child->out >= 0)
        close(child->out);
    *child = CHILD_INIT;
}
