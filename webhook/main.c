/* gitgate-webhook: gives pods their gate, and refuses those that would get around it. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "admission.h"
#include "base/cleanup.h"
#include "base/health.h"
#include "base/memory.h"
#include "certs.h"
#include "issuer.h"
#include "kube/config.h"
#include "metrics/metrics.h"
#include "options.h"

struct program {
    const struct options *options;
    uv_loop_t loop;
    struct log log;
    struct metrics *metrics;
    struct health *health;
    struct kube_client *client;
    struct admission admission;
    struct server_route routes[ADMISSION_ROUTES_MAX];
    struct server_spec spec;
    struct server *server;
    struct certs *certs; /* of the two, one: files that are watched ... */
    struct issuer_spec issuer_spec;
    struct issuer *issuer; /* ... or what keeps a certificate by itself */
    char *namespace_, *host;
    struct error failure; /* that ends the program */
    uv_timer_t settled;
    uv_signal_t signals[2];
};

/* ---- The certificate ----------------------------------------------------------------------- */

static void log_listening(const struct program *program)
{
    const char *address = program->options->address;

    log_info(&program->log, "listening",
             json_pack("{s:s, s:i, s:i}", "address", *address ? address : "*", "port",
                       server_port(program->server), "health_port",
                       program->health ? health_port(program->health) : 0));
}

/* With the first one the webhook begins to listen, or can't: then it ends. */
static void on_issued(void *data, const struct identity *identity)
{
    struct program *program = data;
    struct error err = ERROR_INIT;
    bool first = !server_listens(program->server);

    if (server_set_identity(program->server, identity, &err) == 0) {
        log_info(&program->log, "certificate issued", NULL);
        if (first && server_listens(program->server))
            log_listening(program);
    } else if (first) {
        program->failure = err;
        uv_stop(&program->loop);
    } else {
        log_error(&program->log, "certificate kept", json_pack("{s:s}", "error", err.msg));
    }
}

static void on_certs_changed(void *data)
{
    struct program *program = data;
    cleanup_identity struct identity identity = IDENTITY_INIT;
    struct error err = ERROR_INIT;

    if (identity_load(program->options->cert, program->options->key, &identity, &err) < 0 ||
        server_set_identity(program->server, &identity, &err) < 0)
        log_warn(&program->log, "certificate kept", json_pack("{s:s}", "error", err.msg));
    else
        log_info(&program->log, "certificate read", NULL);
}

static int start_issuer(struct program *program, struct error *err)
{
    const struct options *options = program->options;

    if (!options->host &&
        asprintf(&program->host, "gitgate-webhook.%s.svc", program->namespace_) < 0)
        return error_set(err, -ENOMEM, "out of memory");
    program->issuer_spec =
        (struct issuer_spec){.namespace_ = program->namespace_,
                             .configuration = options->configuration,
                             .host = options->host ? options->host : program->host,
                             .times = options->times,
                             .issued = on_issued,
                             .data = program,
                             .log = &program->log};
    return issuer_start(program->client, &program->issuer_spec, &program->issuer, err);
}

static int start_certificate(struct program *program, struct error *err)
{
    const struct options *options = program->options;
    cleanup_identity struct identity identity = IDENTITY_INIT;
    int r;

    if (!options->cert)
        return start_issuer(program, err);
    r = identity_load(options->cert, options->key, &identity, err);
    if (r == 0)
        r = server_set_identity(program->server, &identity, err);
    if (r < 0)
        return r;
    log_listening(program);
    return certs_new(&program->loop, options->cert, options->key, on_certs_changed, program,
                     &program->certs, err);
}

/* ---- Health -------------------------------------------------------------------------------- */

static bool is_ready(void *data)
{
    const struct program *program = data;

    return admission_ready(&program->admission) && issuer_ready(program->issuer);
}

static void print_metrics(void *data, struct buf *out)
{
    const struct program *program = data;

    metrics_print(program->metrics, out);
}

static int start_health(struct program *program, struct error *err)
{
    struct health_source source = {.ready = is_ready, .metrics = print_metrics, .data = program};

    if (!program->options->health_address)
        return 0;
    return health_start(&program->loop, program->options->health_address, &source, &program->health,
                        err);
}

/* ---- Memory -------------------------------------------------------------------------------- */

#define SETTLED_MS 1000 /* all is listed and issued by then, or it doesn't matter */

/* The body of a large review has pages of its own, which go back with it. Unless it is told,
 * glibc's malloc stops doing so when it has seen one, and what many at once leave is then kept in
 * pieces: a tenth of the most that the webhook ever takes. */
#define OWN_PAGES_FROM (128 << 10)

static void on_settled(uv_timer_t *timer)
{
    (void)timer;
    memory_give_back();
}

/* ---- Starting and stopping ----------------------------------------------------------------- */

static void on_server_stopped(void *data)
{
    struct program *program = data;

    gates_free(program->admission.gates);
    lookups_free(program->admission.lookups);
    issuer_stop(program->issuer);
    kube_client_free(program->client);
    certs_free(program->certs);
    health_stop(program->health);
    uv_close((uv_handle_t *)&program->settled, NULL);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&program->signals[i], NULL);
}

/* Only the first one counts: what is under way is bounded in time. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct program *program = handle->data;

    log_info(&program->log, "stopping", json_pack("{s:i}", "signal", number));
    for (size_t i = 0; i < 2; i++)
        uv_signal_stop(&program->signals[i]);
    server_stop(program->server, on_server_stopped, program);
}

static void start_signals(struct program *program)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&program->loop, &program->signals[i]);
        program->signals[i].data = program;
        uv_signal_start(&program->signals[i], on_signal, numbers[i]);
    }
}

static int start_client(struct program *program, struct error *err)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    int r = kube_config_load(program->options->kubeconfig, &config, err);

    if (r < 0)
        return r;
    program->namespace_ = strdup(config.namespace_);
    if (!program->namespace_)
        return error_set(err, -ENOMEM, "out of memory");
    r = kube_client_new(&program->loop, &config, &program->client, err);
    if (r < 0)
        return r;
    program->admission.lookups = lookups_new(program->client);
    if (!program->admission.lookups)
        return error_set(err, -ENOMEM, "out of memory");
    return gates_new(program->client, &program->log, program->metrics, &program->admission.gates,
                     err);
}

static int start_server(struct program *program, struct error *err)
{
    const struct options *options = program->options;

    program->admission = (struct admission){.parts = options->parts, .log = &program->log};
    admission_metrics(&program->admission, program->metrics);
    admission_routes(&program->admission, program->routes);
    program->spec = (struct server_spec){
        .address = options->address,
        .port = options->port,
        .limits = options->limits,
        .routes = program->routes,
        .ready = is_ready,
        .data = program,
        .log = &program->log,
    };
    return server_new(&program->loop, &program->spec, &program->server, err);
}

static void start_settling(struct program *program)
{
    uv_timer_init(&program->loop, &program->settled);
    uv_timer_start(&program->settled, on_settled, SETTLED_MS, 0);
}

static int start(struct program *program, struct error *err)
{
    int r = start_server(program, err);

    if (r == 0)
        r = start_client(program, err);
    if (r == 0)
        r = start_health(program, err);
    if (r < 0)
        return r;
    start_signals(program);
    start_settling(program);
    log_info(&program->log, "starting",
             json_pack("{s:i}", "health_port", program->health ? health_port(program->health) : 0));
    return start_certificate(program, err);
}

static void release(struct program *program)
{
    server_free(program->server);
    metrics_free(program->metrics);
    free(program->namespace_);
    free(program->host);
    uv_loop_close(&program->loop);
}

static int run(const struct options *options, struct error *err)
{
    struct program program = {
        .options = options,
        .log = {.fd = STDOUT_FILENO, .min = options->log_level, .program = "gitgate-webhook"},
        .metrics = metrics_new()};
    int r;

    uv_loop_init(&program.loop);
    r = start(&program, err);
    if (r < 0)
        return r; /* the process ends with it */
    uv_run(&program.loop, UV_RUN_DEFAULT);
    if (program.failure.code) {
        *err = program.failure;
        return err->code;
    }
    release(&program);
    return 0;
}

int main(int argc, char **argv)
{
    cleanup_options struct options options;
    struct error err = ERROR_INIT;
    int r = options_parse(argc, argv, &options);

    signal(SIGPIPE, SIG_IGN);
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_FROM);
    if (r == 0 && run(&options, &err) < 0)
        fprintf(stderr, "gitgate-webhook: %s\n", err.msg);
    if (r < 0)
        return 2;
    return err.code ? 1 : 0;
}
