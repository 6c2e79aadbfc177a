#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define DEFAULT_LISTEN ":8443"
#define DEFAULT_CONFIGURATION "gitgate"

#define SECONDS_MAX 86400u
#define LIFE_MAX_S (UINT64_C(20) * 365 * 86400)
#define CONNECTIONS_MAX 65536u

static const char usage[] =
    "usage: gitgate-webhook --gate-image IMAGE [OPTION...]\n"
    "Serves the admission webhooks of gitgate over TLS.\n"
    "\n"
    "  --gate-image IMAGE    the gate's image, where a GitGate names none\n"
    "  --sidecar-mode MODE   native (default), or container for nodes without sidecars: agents'\n"
    "                        init containers then have no git, and Jobs don't end by themselves\n"
    "  --kubeconfig FILE     the API server; default: the pod's ServiceAccount\n"
    "  --listen HOST:PORT    default " DEFAULT_LISTEN ", every address; port 0: any that is free\n"
    "  --health-addr [HOST]:PORT  answers /healthz, /readyz and /metrics there, without TLS\n"
    "  --log-level LEVEL     debug, info (default), warn, error\n"
    "\n"
    "The certificate. Without --tls-cert the webhook keeps one by itself: an authority in Secret\n"
    "gitgate-webhook-authority, and its certificate in the webhook configurations' caBundles.\n"
    "  --tls-cert FILE       PEM chain, read again when it changes\n"
    "  --tls-key FILE        PEM key of it\n"
    "  --tls-host NAME       who it is for; default gitgate-webhook.NAMESPACE.svc\n"
    "  --webhook-configuration NAME  default " DEFAULT_CONFIGURATION "\n"
    "  --certificate-lifetime SECONDS  default a week; renewed when two thirds are over\n"
    "  --authority-lifetime SECONDS    default a year; likewise\n"
    "\n"
    "Limits:\n"
    "  --network-timeout SECONDS  TLS hello, header, body's and answer's waits; default 10\n"
    "  --request-timeout SECONDS  a whole request, a whole answer; default 30\n"
    "  --idle-timeout SECONDS     between requests; default 120\n"
    "  --max-connections N        default 1024\n"
    "\n"
    "  --help, --version\n";

enum {
    GATE_IMAGE = 256,
    SIDECAR_MODE,
    KUBECONFIG,
    LISTEN,
    HEALTH_ADDR,
    LOG_LEVEL,
    TLS_CERT,
    TLS_KEY,
    TLS_HOST,
    CONFIGURATION,
    CERTIFICATE_LIFETIME,
    AUTHORITY_LIFETIME,
    NETWORK_TIMEOUT,
    REQUEST_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_CONNECTIONS,
    HELP,
    VERSION,
};

static const struct option known[] = {
    {"gate-image", required_argument, NULL, GATE_IMAGE},
    {"sidecar-mode", required_argument, NULL, SIDECAR_MODE},
    {"kubeconfig", required_argument, NULL, KUBECONFIG},
    {"listen", required_argument, NULL, LISTEN},
    {"health-addr", required_argument, NULL, HEALTH_ADDR},
    {"log-level", required_argument, NULL, LOG_LEVEL},
    {"tls-cert", required_argument, NULL, TLS_CERT},
    {"tls-key", required_argument, NULL, TLS_KEY},
    {"tls-host", required_argument, NULL, TLS_HOST},
    {"webhook-configuration", required_argument, NULL, CONFIGURATION},
    {"certificate-lifetime", required_argument, NULL, CERTIFICATE_LIFETIME},
    {"authority-lifetime", required_argument, NULL, AUTHORITY_LIFETIME},
    {"network-timeout", required_argument, NULL, NETWORK_TIMEOUT},
    {"request-timeout", required_argument, NULL, REQUEST_TIMEOUT},
    {"idle-timeout", required_argument, NULL, IDLE_TIMEOUT},
    {"max-connections", required_argument, NULL, MAX_CONNECTIONS},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

void options_done(struct options *options)
{
    free(options->address);
    options->address = NULL;
}

static int complain(const char *text, const char *what)
{
    fprintf(stderr, "gitgate-webhook: %s%s\n%s", text, what, usage);
    return -EINVAL;
}

/* "HOST:PORT", an IPv6 address in brackets; without HOST every address. */
static int parse_listen(const char *text, struct options *ret)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;

    if (!colon || parse_u64(colon + 1, UINT16_MAX, &port) < 0)
        return complain("--listen must be HOST:PORT: ", text);
    free(ret->address);
    if (text[0] == '[' && colon > text && colon[-1] == ']')
        ret->address = strndup(text + 1, (size_t)(colon - text) - 2);
    else
        ret->address = strndup(text, (size_t)(colon - text));
    ret->port = (uint16_t)port;
    return ret->address ? 0 : -ENOMEM;
}

static int parse_mode(const char *text, struct options *ret)
{
    ret->parts.plain_container = strcmp(text, "container") == 0;
    if (ret->parts.plain_container || strcmp(text, "native") == 0)
        return 0;
    return complain("--sidecar-mode must be native or container: ", text);
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    if (parse_u64(text, max, ret) == 0 && *ret > 0)
        return 0;
    return complain("not a number in range: ", text);
}

static int parse_limit(const char *text, uint64_t max, unsigned *ret)
{
    uint64_t number;
    int r = parse_number(text, max, &number);

    if (r == 0)
        *ret = (unsigned)number;
    return r;
}

static int parse_number_option(int option, const char *value, struct options *ret)
{
    switch (option) {
    case CERTIFICATE_LIFETIME:
        return parse_number(value, LIFE_MAX_S, &ret->times.leaf_s);
    case AUTHORITY_LIFETIME:
        return parse_number(value, LIFE_MAX_S, &ret->times.authority_s);
    case NETWORK_TIMEOUT:
        return parse_limit(value, SECONDS_MAX, &ret->limits.network_s);
    case REQUEST_TIMEOUT:
        return parse_limit(value, SECONDS_MAX, &ret->limits.request_s);
    case IDLE_TIMEOUT:
        return parse_limit(value, SECONDS_MAX, &ret->limits.idle_s);
    case MAX_CONNECTIONS:
        return parse_limit(value, CONNECTIONS_MAX, &ret->limits.connections);
    default:
        return complain("", "see above");
    }
}

static int parse_option(int option, const char *value, struct options *ret)
{
    const char **texts[] = {
        [GATE_IMAGE - GATE_IMAGE] = &ret->parts.image,
        [KUBECONFIG - GATE_IMAGE] = &ret->kubeconfig,
        [HEALTH_ADDR - GATE_IMAGE] = &ret->health_address,
        [TLS_CERT - GATE_IMAGE] = &ret->cert,
        [TLS_KEY - GATE_IMAGE] = &ret->key,
        [TLS_HOST - GATE_IMAGE] = &ret->host,
        [CONFIGURATION - GATE_IMAGE] = &ret->configuration,
    };

    if (option == LISTEN)
        return parse_listen(value, ret);
    if (option == SIDECAR_MODE)
        return parse_mode(value, ret);
    if (option == LOG_LEVEL)
        return log_level_parse(value, &ret->log_level) == 0
                   ? 0
                   : complain("--log-level must be debug, info, warn or error: ", value);
    if (option < GATE_IMAGE || option > CONFIGURATION)
        return parse_number_option(option, value, ret);
    *texts[option - GATE_IMAGE] = value;
    return 0;
}

static int check(int argc, char **argv, const struct options *options)
{
    if (optind < argc)
        return complain("not an option: ", argv[optind]);
    if (!options->parts.image || !*options->parts.image)
        return complain("--gate-image is missing", "");
    if (!options->cert != !options->key)
        return complain("--tls-cert and --tls-key go together", "");
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret)
{
    int option;

    *ret = (struct options){.configuration = DEFAULT_CONFIGURATION,
                            .times = AUTHORITY_TIMES,
                            .limits = SERVER_LIMITS,
                            .log_level = LOG_INFO_};
    if (parse_listen(DEFAULT_LISTEN, ret) < 0)
        return -ENOMEM;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == HELP || option == VERSION) {
            fputs(option == HELP ? usage : "gitgate-webhook " GITGATE_VERSION "\n", stdout);
            return 1;
        }
        if (parse_option(option, optarg, ret) < 0)
            return -EINVAL;
    }
    return check(argc, argv, ret);
}
