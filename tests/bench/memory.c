/* memory PID [COMMAND...]: what a process and all below it hold in memory, in kB.
 *
 * With a COMMAND: the peak of the sum while that runs, looked at each 10 ms, and its exit code.
 * Prints
 * "<sum of resident sets> <sum of proportional sets>": the first counts a page that two processes
 * share twice, the second once. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/parse.h"

#define EVERY_MS 10
#define DEPTH_MAX 64

struct sum {
    uint64_t rss_kb, pss_kb;
};

struct watch {
    uv_process_t process;
    uv_timer_t timer;
    pid_t pid;
    struct sum peak;
    int code;
};

/* proc(5), /proc/pid/smaps_rollup. A process that has just ended has none. */
static void add_process(pid_t pid, struct sum *sum)
{
    char path[64], line[256];
    uint64_t kb;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Rss: %" SCNu64, &kb) == 1)
            sum->rss_kb += kb;
        else if (sscanf(line, "Pss: %" SCNu64, &kb) == 1)
            sum->pss_kb += kb;
    }
    if (file)
        fclose(file);
}

/* proc(5), /proc/pid/task/tid/children; who asks for memory here starts no child from a thread. */
static void add_tree(pid_t pid, struct sum *sum, int depth)
{
    char path[64];
    FILE *file;
    int child;

    add_process(pid, sum);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    while (file && depth < DEPTH_MAX && fscanf(file, "%d", &child) == 1)
        add_tree(child, sum, depth + 1);
    if (file)
        fclose(file);
}

static struct sum look(pid_t pid)
{
    struct sum sum = {0};

    add_tree(pid, &sum, 0);
    return sum;
}

static void on_tick(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    struct sum sum = look(watch->pid);

    if (sum.rss_kb > watch->peak.rss_kb)
        watch->peak.rss_kb = sum.rss_kb;
    if (sum.pss_kb > watch->peak.pss_kb)
        watch->peak.pss_kb = sum.pss_kb;
}

static void on_exited(uv_process_t *process, int64_t status, int term_signal)
{
    struct watch *watch = process->data;

    watch->code = term_signal ? 128 + term_signal : (int)status;
    uv_close((uv_handle_t *)&watch->timer, NULL);
    uv_close((uv_handle_t *)process, NULL);
}

static int run(struct watch *watch, char **argv)
{
    uv_stdio_container_t stdio[3] = {{.flags = UV_INHERIT_FD, .data.fd = 0},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2}};
    uv_process_options_t options = {
        .file = argv[0], .args = argv, .stdio = stdio, .stdio_count = 3, .exit_cb = on_exited};
    int r;

    watch->process.data = watch->timer.data = watch;
    uv_timer_init(uv_default_loop(), &watch->timer);
    uv_timer_start(&watch->timer, on_tick, 0, EVERY_MS);
    r = uv_spawn(uv_default_loop(), &watch->process, &options);
    if (r < 0) {
        fprintf(stderr, "memory: %s: %s\n", argv[0], uv_strerror(r));
        return 127;
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return watch->code;
}

int main(int argc, char **argv)
{
    static struct watch watch;
    uint64_t pid;
    int code = 0;

    if (argc < 2 || parse_u64(argv[1], INT32_MAX, &pid) < 0) {
        fputs("usage: memory PID [COMMAND...]\n", stderr);
        return 2;
    }
    watch.pid = (pid_t)pid;
    if (argc > 2)
        code = run(&watch, argv + 2);
    else
        watch.peak = look(watch.pid);
    printf("%" PRIu64 " %" PRIu64 "\n", watch.peak.rss_kb, watch.peak.pss_kb);
    return code;
}
