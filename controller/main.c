/* gitgate-controller: keeps each GitGate's objects as they should be. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/health.h"
#include "base/log.h"
#include "controller.h"
#include "kube/config.h"
#include "metrics/metrics.h"
#include "wipe.h"

/* For the writes on their way and the lease, whose answers may never come. A second signal does not
 * wait. */
#define STOP_MS 4000

static const char usage[] =
    "usage: gitgate-controller [--kubeconfig FILE] [--namespace NAME] [--health-addr [HOST]:PORT]\n"
    "                          [--log-level debug|info|warn|error] [--version]\n"
    "\n"
    "Watches GitGates and keeps their ConfigMaps, Secret and NetworkPolicies.\n"
    "\n"
    "  --kubeconfig FILE   where the API server is (default: the pod's ServiceAccount, else\n"
    "                      $KUBECONFIG, else ~/.kube/config)\n"
    "  --namespace NAME    watch this namespace alone (default: all)\n"
    "  --health-addr ADDR  answer /healthz, /readyz and /metrics here (default: nowhere)\n"
    "  --log-level LEVEL   default: info\n";

struct options {
    const char *kubeconfig, *namespace_, *health_addr;
    enum log_level level;
};

struct program {
    uv_loop_t loop;
    struct log log;
    struct metrics *metrics;
    struct controller controller;
    struct health *health;
    uv_signal_t on_term, on_int;
    uv_timer_t patience;
    bool stopping;
};

/* 0: go on; else exit with what `*status` says. */
static int parse_options(int argc, char **argv, struct options *ret, int *status)
{
    static const struct option known[] = {
        {"kubeconfig", required_argument, NULL, 'k'},
        {"namespace", required_argument, NULL, 'n'},
        {"health-addr", required_argument, NULL, 'a'},
        {"log-level", required_argument, NULL, 'l'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;

    *ret = (struct options){.level = LOG_INFO_};
    *status = 2;
    while ((c = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        if (c == 'k')
            ret->kubeconfig = optarg;
        else if (c == 'n')
            ret->namespace_ = optarg;
        else if (c == 'a')
            ret->health_addr = optarg;
        else if (c == 'V' || c == 'h') {
            fputs(c == 'V' ? "gitgate-controller " GITGATE_VERSION "\n" : usage, stdout);
            *status = 0;
            return -1;
        } else if (c != 'l' || log_level_parse(optarg, &ret->level) < 0) {
            fputs(usage, stderr);
            return -1;
        }
    }
    if (optind == argc)
        return 0;
    fputs(usage, stderr);
    return -1;
}

static bool is_ready(void *data)
{
    const struct program *program = data;

    return program->controller.synced;
}

static void print_metrics(void *data, struct buf *out)
{
    const struct program *program = data;

    metrics_print(program->metrics, out);
}

static void on_closed(uv_handle_t *patience)
{
    uv_stop(patience->loop);
}

static void close_handles(struct program *program)
{
    uv_close((uv_handle_t *)&program->on_term, NULL);
    uv_close((uv_handle_t *)&program->on_int, NULL);
    uv_close((uv_handle_t *)&program->patience, on_closed);
}

static void stop(struct program *program)
{
    controller_stop(&program->controller);
    health_stop(program->health);
    program->health = NULL;
    close_handles(program);
}

/* From the loop's own hand: what it stops may be in the middle of a call. */
static void on_patience(uv_timer_t *timer)
{
    stop(timer->data);
}

static void on_finished(void *data)
{
    struct program *program = data;

    uv_timer_start(&program->patience, on_patience, 0, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct program *program = handle->data;

    log_info(&program->log, "stopping", json_pack("{s:i}", "signal", number));
    uv_timer_start(&program->patience, on_patience, program->stopping ? 0 : STOP_MS, 0);
    if (program->stopping)
        return;
    program->stopping = true;
    controller_finish(&program->controller, on_finished, program);
}

static int start(struct program *program, const struct options *options, struct error *err)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    struct health_source source = {.ready = is_ready, .metrics = print_metrics, .data = program};
    int r = kube_config_load(options->kubeconfig, &config, err);

    if (r == 0)
        r = controller_start(&program->loop, &config, options->namespace_, &program->log,
                             program->metrics, &program->controller, err);
    if (r < 0)
        return r;
    if (options->health_addr)
        r = health_start(&program->loop, options->health_addr, &source, &program->health, err);
    if (r < 0)
        controller_stop(&program->controller);
    else
        log_info(&program->log, "watching",
                 json_pack("{s:s, s:s, s:i}", "server", config.server, "namespace",
                           options->namespace_ ? options->namespace_ : "all", "health_port",
                           program->health ? health_port(program->health) : 0));
    return r;
}

static void watch_signals(struct program *program)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&program->loop, &program->on_term);
    uv_signal_init(&program->loop, &program->on_int);
    uv_timer_init(&program->loop, &program->patience);
    program->on_term.data = program->on_int.data = program->patience.data = program;
    uv_signal_start(&program->on_term, on_signal, SIGTERM);
    uv_signal_start(&program->on_int, on_signal, SIGINT);
}

/* Look-ups can't be called off, and libuv waits for their threads at exit, too: a name server that
 * never answers would hold up the end of a program that has ended. */
static void leave_look_ups(struct program *program, int status)
{
    uv_run(&program->loop, UV_RUN_NOWAIT); /* what closes with the rest */
    if (uv_loop_close(&program->loop) == UV_EBUSY)
        _exit(status);
}

int main(int argc, char **argv)
{
    struct program program = {.log = {.fd = STDERR_FILENO, .program = "gitgate-controller"},
                              .metrics = metrics_new()};
    struct error err = ERROR_INIT;
    struct options options;
    int status, r;

    if (parse_options(argc, argv, &options, &status) < 0) {
        metrics_free(program.metrics);
        return status;
    }
    program.log.min = options.level;
    mallopt(M_ARENA_MAX, 1); /* look-ups run in threads: one heap, not one each */
    uv_loop_init(&program.loop);
    watch_signals(&program);
    r = wipe_on_free(&err);
    if (r == 0)
        r = start(&program, &options, &err);
    if (r < 0) {
        log_error(&program.log, "can't start", json_pack("{s:s}", "error", err.msg));
        close_handles(&program);
    }
    uv_run(&program.loop, UV_RUN_DEFAULT);
    status = r < 0 ? 1 : 0;
    leave_look_ups(&program, status);
    metrics_free(program.metrics);
    return status;
}
