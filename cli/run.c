/* gitgate run: a gate without a cluster. Writes the files that a pod would mount and runs the
 * gate's entrypoint. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/ip.h"
#include "base/parse.h"
#include "cli.h"
#include "guard.h"
#include "input.h"
#include "state.h"

#define DEFAULT_LISTEN "127.0.0.1:9418"
#define NO_METRICS "off" /* whoever runs several gates on a laptop needs no port for each */
#define AUTHORITY_MAX 80

extern char **environ;

struct options {
    const char *file, *listen, *metrics, *state_dir;
};

static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option longs[] = {
        {"file", required_argument, NULL, 'f'},
        {"listen", required_argument, NULL, 'l'},
        {"metrics", required_argument, NULL, 'm'},
        {"state-dir", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int c;

    ret->listen = DEFAULT_LISTEN;
    ret->metrics = NO_METRICS;
    while ((c = getopt_long(argc, argv, "f:", longs, NULL)) != -1) {
        if (c == 'f')
            ret->file = optarg;
        else if (c == 'l')
            ret->listen = optarg;
        else if (c == 'm')
            ret->metrics = optarg;
        else if (c == 's')
            ret->state_dir = optarg;
        else
            return EXIT_USAGE; /* getopt has said why */
    }
    if (optind < argc)
        return usage_error("unexpected argument \"%s\"", argv[optind]);
    if (!ret->file)
        return usage_error("run needs -f FILE");
    return 0;
}

/* ---- where to listen ---- */

struct listen {
    struct ip ip;
    uint16_t port;
};

/* "127.0.0.1:9418" or "[::1]:9418". */
static int parse_listen(const char *text, struct listen *ret)
{
    const char *colon = strrchr(text, ':');
    char host[IP_TEXT_MAX] = "";
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t port;

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof host)
        return -EINVAL;
    memcpy(host, text, len);
    if (ip_parse(host, &ret->ip) < 0 || parse_u64(colon + 1, UINT16_MAX, &port) < 0 || port == 0)
        return -EINVAL;
    ret->port = (uint16_t)port;
    return 0;
}

static bool is_loopback(const struct ip *ip)
{
    static const unsigned char six[16] = {[15] = 1};

    return ip->family == AF_INET ? ip->bytes[0] == 127 : memcmp(ip->bytes, six, 16) == 0;
}

static bool is_any(const struct ip *ip)
{
    static const unsigned char zero[16];

    return memcmp(ip->bytes, zero, sizeof zero) == 0;
}

/* What stands behind git:// for somebody on this machine. */
static void print_authority(const struct listen *listen, char to[AUTHORITY_MAX])
{
    bool six = listen->ip.family == AF_INET6;
    char ip[IP_TEXT_MAX];
    int len;

    ip_print(&listen->ip, ip);
    if (is_any(&listen->ip))
        strcpy(ip, six ? "::1" : "127.0.0.1");
    len = snprintf(to, AUTHORITY_MAX, six ? "[%s]" : "%s", ip);
    if (listen->port != GITGATE_PORT)
        snprintf(to + len, AUTHORITY_MAX - (size_t)len, ":%u", listen->port);
}

/* ---- running the gate ---- */

/* The gate's messages are JSON on standard output; these are for a person. */
static void print_usage(const struct gitgate *gate, const char *dir, const char *authority)
{
    fprintf(stderr, "gate %s, its files in %s\n\n", gate->name, dir);
    for (size_t i = 0; i < gate->n_upstreams; i++)
        fprintf(stderr, "  git clone git://%s/%s.git\n", authority, gate->upstreams[i].name);
    fprintf(stderr,
            "\nor, to reach the gate by the upstreams' own URLs, in the shell that uses git:\n\n"
            "  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=include.path "
            "GIT_CONFIG_VALUE_0='%s/client/gitconfig'\n\n",
            dir);
}

/* The gate's git follows the gate's files alone: the caller's own configuration may lead to this
 * very gate, or to a credential helper. */
static void drop_git_environment(void)
{
    for (char **entry = environ; *entry;) {
        const char *equals = strchr(*entry, '=');
        cleanup_free char *name = NULL;

        if (strncmp(*entry, "GIT_", 4) == 0 && equals)
            name = strndup(*entry, (size_t)(equals - *entry));
        if (name && unsetenv(name) == 0)
            entry = environ; /* moved */
        else
            entry++;
    }
}

static int set_dir(const char *variable, const char *dir, const char *sub)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", dir, sub) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return setenv(variable, path, 1) < 0 ? -errno : 0;
}

/* gitgate-gate lies beside this program. */
static int set_path(void)
{
    const char *rest = getenv("PATH");
    cleanup_free char *path = NULL;
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    if (len < 0)
        return -errno;
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    if (asprintf(&path, "%s:%s", self, rest && *rest ? rest : "/usr/bin:/bin") < 0) {
        path = NULL;
        return -ENOMEM;
    }
    return setenv("PATH", path, 1) < 0 ? -errno : 0;
}

static bool on_path(const char *program)
{
    const char *path = getenv("PATH");

    for (const char *at = path ? path : "", *end; *at; at = *end ? end + 1 : end) {
        char file[PATH_MAX];

        end = strchrnul(at, ':');
        if (snprintf(file, sizeof file, "%.*s/%s", (int)(end - at), at, program) <
                (int)sizeof file &&
            access(file, X_OK) == 0)
            return true;
    }
    return false;
}

/* What an image has; here it would show at a fetch or a push, and some pushes need no gitleaks. */
static void warn_of_missing_programs(void)
{
    static const struct {
        const char *name, *without_it;
    } programs[] = {
        {"git", "nothing is served"},
        {"ssh", "no ssh upstream is reached"},
        {"gitleaks", "a push that may hold a secret is refused"},
    };

    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (!on_path(programs[i].name))
            fprintf(stderr, "warning: there is no %s on the PATH: without it %s\n",
                    programs[i].name, programs[i].without_it);
}

static int set_environment(const char *dir, const struct options *options)
{
    int r;

    drop_git_environment();
    r = set_dir("GITGATE_CONFIG_DIR", dir, "config");
    if (r == 0)
        r = set_dir("GITGATE_CREDS_DIR", dir, "creds");
    if (r == 0)
        r = set_dir("GITGATE_REPOS_DIR", dir, "git");
    if (r == 0 && (setenv("GITGATE_LISTEN", options->listen, 1) < 0 ||
                   setenv("GITGATE_METRICS", options->metrics, 1) < 0))
        r = -errno;
    return r < 0 ? r : set_path();
}

#define EXIT_NOT_STARTED 126 /* as shells have it */

static int become_entrypoint(void *data)
{
    const char *program = data;

    execl(program, program, (char *)NULL);
    fprintf(stderr, "gitgate: cannot start %s: %s\n", program, strerror(errno));
    return EXIT_NOT_STARTED;
}

static int run_gate(const char *dir, const struct options *options, int *code, struct error *err)
{
    char entrypoint[PATH_MAX];
    int r = set_environment(dir, options);

    if (r == 0 && snprintf(entrypoint, sizeof entrypoint, "%s/config/entrypoint", dir) >=
                      (int)sizeof entrypoint)
        r = -ENAMETOOLONG;
    if (r < 0)
        return error_errno(err, r, "cannot set up the gate's environment");
    return guard_run(become_entrypoint, entrypoint, code, err);
}

static int prepare(const struct options *options, const struct listen *listen, char **dir,
                   int *lock, struct error *err)
{
    cleanup_input struct input input = {0};
    char authority[AUTHORITY_MAX];
    int r = input_read(options->file, &input);

    if (r < 0)
        return error_set(err, r, "%s is not usable", options->file);
    print_authority(listen, authority);
    r = state_open(options->state_dir, input.gate.name, dir, err);
    if (r == 0)
        r = state_lock(*dir, lock, err);
    if (r == 0) {
        json_auto_t *creds = input_render_creds(&input);

        r = state_write(*dir, &input, creds, authority, err);
    }
    if (r == 0) {
        warn_of_missing_programs();
        print_usage(&input.gate, *dir, authority);
    }
    return r;
}

int command_run(int argc, char **argv)
{
    struct options options = {0};
    struct error err = ERROR_INIT;
    cleanup_free char *dir = NULL;
    cleanup_close int lock = -1;
    struct listen listen;
    int code, r = parse_options(argc, argv, &options);

    if (r != 0)
        return r;
    if (parse_listen(options.listen, &listen) < 0)
        return usage_error("--listen takes an IP address and a port (" DEFAULT_LISTEN ")");
    if (!is_loopback(&listen.ip))
        fprintf(stderr,
                "warning: whoever reaches %s can fetch and push with the gate's "
                "credentials\n",
                options.listen);
    r = prepare(&options, &listen, &dir, &lock, &err);
    if (r == 0)
        r = run_gate(dir, &options, &code, &err);
    if (r == 0)
        return code;
    fprintf(stderr, "gitgate: %s\n", err.msg);
    return EXIT_FAILURE;
}
