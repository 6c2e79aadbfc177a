#include "base/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <uv.h>

/* A helper that the program left behind (an ssh connection that is kept) may hold its pipes open:
 * what it printed itself is there at once, so reading goes on for this long and no longer. */
#define DRAIN_MS 500

/* One run: a loop of its own, its pipes, a process and a timer. */
struct run {
    uv_loop_t loop;
    uv_process_t process;
    uv_timer_t timer;
    uv_pipe_t in, out, err, aside;
    uv_write_t write;
    struct proc_result *result;
    char chunk[65536]; /* one reader at a time: the loop is single-threaded */
};

void proc_result_done(struct proc_result *result)
{
    buf_done(&result->out);
    buf_done(&result->err);
    buf_done(&result->aside);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_outputs(struct run *run)
{
    close_handle((uv_handle_t *)&run->out);
    close_handle((uv_handle_t *)&run->err);
    close_handle((uv_handle_t *)&run->aside);
}

static void on_drained(uv_timer_t *timer)
{
    struct run *run = timer->data;

    close_outputs(run);
}

static void on_exited(uv_process_t *process, int64_t status, int term_signal)
{
    struct run *run = process->data;

    run->result->exit_code = term_signal ? -1 : (int)status;
    run->result->term_signal = term_signal;
    uv_timer_start(&run->timer, on_drained, DRAIN_MS, 0);
    uv_unref((uv_handle_t *)&run->timer); /* both pipes ended: nothing left to wait for */
    close_handle((uv_handle_t *)&run->in);
    close_handle((uv_handle_t *)process);
}

/* The whole group: git starts ssh and helpers that would live on and hold the pipes open. */
static void end_group(struct run *run)
{
    kill(-run->process.pid, SIGKILL);
    close_outputs(run);
}

static void on_timeout(uv_timer_t *timer)
{
    struct run *run = timer->data;

    run->result->timed_out = true;
    end_group(run);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct run *run = handle->data;

    (void)suggested;
    *buf = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct run *run = stream->data;
    struct buf *to = stream == (uv_stream_t *)&run->out   ? &run->result->out
                     : stream == (uv_stream_t *)&run->err ? &run->result->err
                                                          : &run->result->aside;

    if (n > 0)
        buf_add(to, buf->base, (size_t)n);
    if (n < 0 && n != UV_EOF && !to->err)
        to->err = (int)n; /* what is missing must not look like the end */
    if (n < 0)
        close_handle((uv_handle_t *)stream);
}

static void on_written(uv_write_t *write, int status)
{
    struct run *run = write->data;

    (void)status; /* a program that does not read its input says so by how it ends */
    close_handle((uv_handle_t *)&run->in);
}

/* The limit is inherited, and ours again at once: nothing else runs in between. */
static int spawn(struct run *run, const uv_process_options_t *options, uint64_t memory_max)
{
    struct rlimit before, limit;
    int r;

    if (memory_max == 0)
        return uv_spawn(&run->loop, &run->process, options);
    if (getrlimit(RLIMIT_DATA, &before) < 0)
        return -errno;
    limit = before;
    if (limit.rlim_cur > memory_max)
        limit.rlim_cur = memory_max;
    if (setrlimit(RLIMIT_DATA, &limit) < 0)
        return -errno;
    r = uv_spawn(&run->loop, &run->process, options);
    setrlimit(RLIMIT_DATA, &before);
    return r;
}

static int start(struct run *run, const struct proc_spec *spec)
{
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&run->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->out},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->err},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&run->aside},
    };
    uv_process_options_t options = {
        .file = spec->argv[0],
        .args = (char **)spec->argv,
        .env = (char **)spec->env,
        .cwd = spec->cwd,
        .flags = UV_PROCESS_DETACHED,
        .stdio = stdio,
        .stdio_count = spec->aside ? 4 : 3,
        .exit_cb = on_exited,
    };

    return spawn(run, &options, spec->memory_max);
}

static void init_handles(struct run *run)
{
    uv_timer_init(&run->loop, &run->timer);
    uv_pipe_init(&run->loop, &run->in, 0);
    uv_pipe_init(&run->loop, &run->out, 0);
    uv_pipe_init(&run->loop, &run->err, 0);
    uv_pipe_init(&run->loop, &run->aside, 0);
    run->timer.data = run->in.data = run->out.data = run->err.data = run->aside.data = run;
    run->process.data = run->write.data = run;
}

static int feed(struct run *run, const struct proc_spec *spec)
{
    uv_buf_t input = uv_buf_init((char *)spec->input, (unsigned)spec->input_len);
    int r = uv_read_start((uv_stream_t *)&run->out, on_alloc, on_read);

    if (r == 0)
        r = uv_read_start((uv_stream_t *)&run->err, on_alloc, on_read);
    if (r == 0 && spec->aside)
        r = uv_read_start((uv_stream_t *)&run->aside, on_alloc, on_read);
    if (r == 0 && spec->input_len)
        r = uv_write(&run->write, (uv_stream_t *)&run->in, &input, 1, on_written);
    else
        close_handle((uv_handle_t *)&run->in);
    if (r == 0 && spec->timeout_ms)
        uv_timer_start(&run->timer, on_timeout, spec->timeout_ms, 0);
    return r;
}

static void close_each(uv_handle_t *handle, void *arg)
{
    (void)arg;
    close_handle(handle);
}

int proc_run(const struct proc_spec *spec, struct proc_result *result, struct error *err)
{
    cleanup_free struct run *run = calloc(1, sizeof *run);
    int r;

    if (!run || (r = uv_loop_init(&run->loop)) < 0)
        return error_errno(err, -ENOMEM, "cannot run %s", spec->argv[0]);
    run->result = result;
    signal(SIGPIPE, SIG_IGN); /* a program that closes its input early is not our end */
    init_handles(run);
    r = start(run, spec);
    if (r == 0) {
        r = feed(run, spec);
        if (r < 0) /* it could do half of its work, and say that it did all of it */
            end_group(run);
        uv_run(&run->loop, UV_RUN_DEFAULT);
    }
    uv_walk(&run->loop, close_each, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
    if (r < 0)
        return error_errno(err, r, "cannot run %s", spec->argv[0]);
    return 0;
}

void proc_describe(const struct proc_spec *spec, const struct proc_result *result, struct buf *to)
{
    if (result->timed_out)
        buf_addf(to, "no answer within %" PRIu64 " s", spec->timeout_ms / 1000);
    else if (result->term_signal)
        buf_addf(to, "ended by signal %d", result->term_signal);
    else
        buf_addf(to, "exit code %d", result->exit_code);
}
