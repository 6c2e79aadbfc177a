/* gitgate-webhook: gives pods their gate, and refuses those that would get around it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "admission.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "certs.h"
#include "kube/config.h"

#define DEFAULT_LISTEN "0.0.0.0:8443"
#define DEFAULT_TLS_DIR "/etc/gitgate-webhook/tls" /* a kubernetes.io/tls Secret's mount */

static const char usage[] =
    "Usage: gitgate-webhook --gate-image IMAGE [OPTION...]\n"
    "Serves the admission webhooks of gitgate over TLS.\n"
    "\n"
    "  --gate-image IMAGE    the gate's image, where a GitGate names none\n"
    "  --kubeconfig FILE     the API server; default: the pod's ServiceAccount\n"
    "  --tls-cert FILE       PEM chain, read again when it changes; default " DEFAULT_TLS_DIR
    "/tls.crt\n"
    "  --tls-key FILE        PEM key of it; default " DEFAULT_TLS_DIR "/tls.key\n"
    "  --listen HOST:PORT    default " DEFAULT_LISTEN "; port 0: any that is free\n"
    "  --log-level LEVEL     debug, info (default), warn, error\n"
    "  --help, --version\n";

struct options {
    const char *image, *kubeconfig, *cert, *key;
    char *address; /* owned */
    uint16_t port;
    enum log_level log_level;
    struct server_limits limits;
};

struct program {
    const struct options *options;
    uv_loop_t loop;
    struct log log;
    struct kube_client *client;
    struct admission admission;
    struct server_route routes[ADMISSION_ROUTES_MAX];
    struct server_spec spec;
    struct server *server;
    struct certs *certs;
    uv_signal_t signals[2];
};

/* "HOST:PORT", an IPv6 address in brackets. */
static int parse_listen(const char *text, struct options *ret)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;

    if (!colon || colon == text || parse_u64(colon + 1, UINT16_MAX, &port) < 0)
        return -EINVAL;
    free(ret->address);
    if (text[0] == '[' && colon[-1] == ']')
        ret->address = strndup(text + 1, (size_t)(colon - text) - 2);
    else
        ret->address = strndup(text, (size_t)(colon - text));
    ret->port = (uint16_t)port;
    return ret->address ? 0 : -ENOMEM;
}

static void complain(const char *text, const char *what)
{
    fprintf(stderr, "gitgate-webhook: %s%s\n%s", text, what, usage);
}

static int parse_option(int option, const char *value, struct options *ret)
{
    switch (option) {
    case 'i':
        ret->image = value;
        return 0;
    case 'k':
        ret->kubeconfig = value;
        return 0;
    case 'c':
        ret->cert = value;
        return 0;
    case 'e':
        ret->key = value;
        return 0;
    case 'l':
        if (parse_listen(value, ret) == 0)
            return 0;
        complain("--listen must be HOST:PORT: ", value);
        return -EINVAL;
    case 'v':
        if (log_level_parse(value, &ret->log_level) == 0)
            return 0;
        complain("--log-level must be debug, info, warn or error: ", value);
        return -EINVAL;
    default:
        complain("", "see above");
        return -EINVAL;
    }
}

/* 0 to go on, 1 when all is said (--help), -EINVAL. */
static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option known[] = {
        {"gate-image", required_argument, NULL, 'i'},
        {"kubeconfig", required_argument, NULL, 'k'},
        {"tls-cert", required_argument, NULL, 'c'},
        {"tls-key", required_argument, NULL, 'e'},
        {"listen", required_argument, NULL, 'l'},
        {"log-level", required_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option;

    if (parse_listen(DEFAULT_LISTEN, ret) < 0)
        return -ENOMEM;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h' || option == 'V') {
            fputs(option == 'h' ? usage : "gitgate-webhook " GITGATE_VERSION "\n", stdout);
            return 1;
        }
        if (parse_option(option, optarg, ret) < 0)
            return -EINVAL;
    }
    if (optind < argc || !ret->image || !*ret->image) {
        complain(optind < argc ? "not an option: " : "--gate-image is missing",
                 optind < argc ? argv[optind] : "");
        return -EINVAL;
    }
    return 0;
}

/* ---- Running ------------------------------------------------------------------------------- */

static void on_server_stopped(void *data)
{
    struct program *program = data;

    gates_free(program->admission.gates);
    kube_client_free(program->client);
    certs_free(program->certs);
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

static int start_client(struct program *program, const struct options *options, struct error *err)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    int r = kube_config_load(options->kubeconfig, &config, err);

    if (r < 0)
        return r;
    r = kube_client_new(&program->loop, &config, &program->client, err);
    if (r < 0)
        return r;
    program->admission = (struct admission){
        .client = program->client, .parts = {.image = options->image}, .log = &program->log};
    return gates_new(program->client, &program->log, &program->admission.gates, err);
}

static int start_server(struct program *program, const struct options *options, struct error *err)
{
    cleanup_identity struct identity identity = IDENTITY_INIT;
    int r = identity_load(options->cert, options->key, &identity, err);

    if (r < 0)
        return r;
    admission_routes(&program->admission, program->routes);
    program->spec = (struct server_spec){
        .address = options->address,
        .port = options->port,
        .identity = &identity,
        .limits = options->limits,
        .routes = program->routes,
        .ready = admission_ready,
        .data = &program->admission,
        .log = &program->log,
    };
    return server_new(&program->loop, &program->spec, &program->server, err);
}

static int run(const struct options *options, struct error *err)
{
    struct program program = {
        .options = options,
        .log = {.fd = STDOUT_FILENO, .min = options->log_level, .program = "gitgate-webhook"}};
    int r;

    uv_loop_init(&program.loop);
    r = start_server(&program, options, err);
    if (r < 0)
        return r;
    r = start_client(&program, options, err);
    if (r < 0)
        return r;
    r = certs_new(&program.loop, options->cert, options->key, on_certs_changed, &program,
                  &program.certs, err);
    if (r < 0)
        return r;
    start_signals(&program);
    log_info(
        &program.log, "listening",
        json_pack("{s:s, s:i}", "address", options->address, "port", server_port(program.server)));
    uv_run(&program.loop, UV_RUN_DEFAULT);
    server_free(program.server);
    uv_loop_close(&program.loop);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.cert = DEFAULT_TLS_DIR "/tls.crt",
                              .key = DEFAULT_TLS_DIR "/tls.key",
                              .log_level = LOG_INFO_,
                              .limits = SERVER_LIMITS};
    struct error err = ERROR_INIT;
    int r = parse_options(argc, argv, &options);

    signal(SIGPIPE, SIG_IGN);
    if (r == 0 && run(&options, &err) < 0)
        fprintf(stderr, "gitgate-webhook: %s\n", err.msg);
    free(options.address);
    if (r < 0)
        return 2;
    return err.code ? 1 : 0;
}
