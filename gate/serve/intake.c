/* intake PROGRAM ARGUMENTS...: stands between a client that may push and its git daemon.
 * receive-pack keeps all commands of a push in memory before any hook sees one (144 MB a million),
 * and its push options: they are counted on their way. What comes behind them is a pack, which
 * receive.maxInputSize bounds, but not in its objects: how many it has is in its header. The kernel
 * moves it on.
 *
 * What git daemon says goes to the client by a thread, and nowhere once the client has gone:
 * receive-pack would die of that (SIGPIPE) and leave on the disk what it has of the push. So it
 * reads that there is no more, takes that away, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "gate.h"
#include "pktline.h"
#include "serve/commands.h"
#include "verbs.h"

#define SPLICE_MAX (1u << 20)

/* By what was wrong; behind the number of the side band that is for errors. */
static const struct refusal {
    int error;
    const char *logged, *told;
} refusals[] = {
    {-E2BIG, "a push with too many commands was ended",
     "\x03gitgate: push refused: too many refs or push options in one push; push them in parts\n"},
    {-EFBIG, "a push with too many objects was ended",
     "\x03gitgate: push refused: too many objects in one push; push them in parts\n"},
    {-EPROTO, "a client that does not push as git does was ended", NULL},
};

struct intake {
    pid_t pid;
    int pid_fd, to, from; /* git daemon, its standard input and output */
    pthread_t answers;
    struct commands commands;
    size_t len;
    char data[COMMANDS_CHUNK]; /* not handed on yet */
};

/* ---- what git daemon says ---- */

/* False when it has ended and all is said, whoever else has its output still. */
static bool await_answer(const struct intake *i)
{
    struct pollfd fds[] = {{.fd = i->from, .events = POLLIN}, {.fd = i->pid_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return fds[0].revents;
}

static void *hand_back(void *data)
{
    const struct intake *i = data;
    bool gone = false;

    while (await_answer(i)) {
        char lost[4096];
        ssize_t n = gone ? read(i->from, lost, sizeof lost)
                         : splice(i->from, NULL, STDOUT_FILENO, NULL, SPLICE_MAX, SPLICE_F_MOVE);

        if (n == 0 || (n < 0 && errno != EINTR && gone))
            break;
        gone = gone || (n < 0 && errno != EINTR);
    }
    return NULL;
}

/* ---- git daemon ---- */

static int spawn(struct intake *i, char **argv, int in, int out)
{
    posix_spawn_file_actions_t actions;
    int r;

    posix_spawn_file_actions_init(&actions);
    /* Without these, for want of memory, the client would speak past us. */
    r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawnp(&i->pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int start(struct intake *i, char **argv)
{
    cleanup_close int in = -1, out = -1;
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    in = ends[0];
    i->to = ends[1];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    i->from = ends[0];
    out = ends[1];
    r = spawn(i, argv, in, out);
    if (r < 0)
        return r;
    i->pid_fd = pidfd_open(i->pid, 0);
    if (i->pid_fd < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN); /* as git daemon does: a push is let finish */
    return -pthread_create(&i->answers, NULL, hand_back, i);
}

static int end(struct intake *i)
{
    int status;

    if (i->to >= 0)
        close(i->to);
    while (waitpid(i->pid, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    pthread_join(i->answers, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- what the client sends ---- */

/* False when git daemon has ended: nobody takes it any more. */
static bool await_client(const struct intake *i)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = i->pid_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return !fds[1].revents;
}

static int hand_on(struct intake *i, size_t n)
{
    int r = file_write_all(i->to, i->data, n);

    if (r < 0)
        return r;
    i->len -= n;
    memmove(i->data, i->data + n, i->len);
    return 0;
}

/* -EPIPE when either side has ended. */
static int read_more(struct intake *i)
{
    ssize_t n;

    do
        n = await_client(i) ? read(STDIN_FILENO, i->data + i->len, sizeof i->data - i->len) : 0;
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -EPIPE;
    i->len += (size_t)n;
    return 0;
}

/* Up to the pack. */
static int take_commands(struct intake *i)
{
    int r = 0;

    while (r == 0 && !i->commands.pack) {
        ssize_t n;

        r = read_more(i);
        if (r < 0)
            return r;
        n = commands_take(&i->commands, i->data, i->len);
        r = n < 0 ? (int)n : hand_on(i, (size_t)n);
    }
    return r;
}

static int take_header(struct intake *i)
{
    int r = 0;

    while (r == 0 && i->len < PACK_HEADER)
        r = read_more(i);
    if (r == 0 && commands_objects(i->data) > PACK_OBJECTS_MAX)
        return -EFBIG;
    return r < 0 ? r : hand_on(i, i->len);
}

static void move_pack(const struct intake *i)
{
    while (await_client(i)) {
        ssize_t n = splice(STDIN_FILENO, NULL, i->to, NULL, SPLICE_MAX, SPLICE_F_MOVE);

        if (n == 0 || (n < 0 && errno != EINTR))
            return;
    }
}

/* ---- the verb ---- */

/* git daemon has ended, so nothing else is being said to the client. */
static void refuse(const struct refusal *refusal)
{
    cleanup_buf struct buf out = BUF_INIT(PKT_PAYLOAD_MAX);
    cleanup_gate struct gate gate = {0};

    if (refusal->told)
        pkt_add(&out, refusal->told, strlen(refusal->told));
    if (out.len > 0 && write(STDOUT_FILENO, out.data, out.len) < 0)
        return; /* the client has gone */
    if (gate_open(&gate, NULL) == 0)
        log_warn(&gate.log, refusal->logged, json_pack("{s:i}", "session", (int)getsid(0)));
}

int verb_intake(int argc, char **argv)
{
    static struct intake i = {.pid_fd = -1, .to = -1, .from = -1}; /* as long as the process */
    int r, code;

    if (argc < 2) {
        fputs("usage: gitgate-gate intake PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    if (start(&i, argv + 1) < 0)
        return 1;
    r = take_commands(&i);
    if (r == 0)
        r = take_header(&i);
    if (r == 0)
        move_pack(&i);
    code = end(&i);
    for (size_t n = 0; n < sizeof refusals / sizeof *refusals; n++)
        if (refusals[n].error == r) {
            refuse(&refusals[n]);
            return 0;
        }
    return code;
}
