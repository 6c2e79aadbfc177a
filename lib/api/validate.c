#include "api/validate.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/ip.h"
#include "data/expression.h"

#define RESOURCES_MAX 16 /* kinds of them: cpu, memory, storage, a node's devices */
#define PATH_SIZE 512    /* longest: an upstream's extraHosts with a host name of 253 bytes */

__attribute__((format(printf, 4, 5))) static void complain(struct problems *problems, size_t i,
                                                           const char *field, const char *fmt, ...)
{
    char path[PATH_SIZE], message[ERROR_MSG_MAX];
    va_list ap;

    snprintf(path, sizeof path, "spec.upstreams[%zu].%s", i, field);
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    problems_add(problems, path, "%s", message);
}

/* ---- one upstream ---- */

/* Else a gate could be told to fetch the node's credentials from the cloud's metadata service. */
static bool host_is_never(const struct url *url)
{
    struct ip ip;

    return ip_parse(url->host, &ip) == 0 && ip_is_never(&ip);
}

static void validate_url(struct upstream *u, size_t i, struct problems *problems)
{
    struct error err = ERROR_INIT;

    if (!u->url_text)
        return;
    if (url_parse(u->url_text, &u->url, &err) < 0)
        complain(problems, i, "url", "%s", err.msg);
    else if (host_is_never(&u->url))
        complain(problems, i, "url",
                 "names a link-local or a cloud's own address (its metadata service is "
                 "there); it is never reachable");
}

static bool url_known(const struct upstream *u)
{
    return u->url.host[0] != '\0';
}

static void validate_auth(struct upstream *u, size_t i, const json_t *object,
                          struct problems *problems)
{
    bool ssh = json_is_object(json_object_get(object, "ssh"));
    bool http = json_is_object(json_object_get(object, "http"));

    if (ssh)
        u->auth = AUTH_SSH;
    else
        u->auth = http && u->secret ? AUTH_HTTP : AUTH_ANONYMOUS;
    if (ssh && http)
        complain(problems, i, "http",
                 "stands beside ssh; an upstream has one of the two, or "
                 "neither for an anonymous https URL");
    else if (url_known(u) && u->url.scheme == URL_SSH && http)
        complain(problems, i, "http",
                 "is for https URLs; an ssh URL needs "
                 "ssh.secretRef.name: the Secret with its key");
    else if (url_known(u) && u->url.scheme == URL_SSH && !ssh)
        complain(problems, i, "ssh",
                 "is required for an ssh URL: ssh.secretRef.name names the "
                 "Secret with its key");
    else if (url_known(u) && u->url.scheme == URL_HTTPS && ssh)
        complain(problems, i, "ssh",
                 "is for ssh URLs; an https URL takes http.secretRef, or "
                 "nothing for anonymous access");
}

/* ---- one upstream beside the others ---- */

static void validate_name(const struct gitgate *gate, size_t i, struct problems *problems)
{
    for (size_t j = 0; j < i; j++)
        if (gate->upstreams[i].name && gate->upstreams[j].name &&
            strcmp(gate->upstreams[i].name, gate->upstreams[j].name) == 0) {
            complain(problems, i, "name", "\"%s\" is already the name of spec.upstreams[%zu]",
                     gate->upstreams[i].name, j);
            return;
        }
}

/* Repositories also lie below their host and path: a path can't be a repository and a directory. */
static bool path_inside(const char *inner, const char *outer)
{
    size_t len = strlen(outer);

    return strncmp(inner, outer, len) == 0 && (inner[len] == '\0' || inner[len] == '/');
}

static void validate_place(const struct gitgate *gate, size_t i, struct problems *problems)
{
    const struct url *a = &gate->upstreams[i].url;

    for (size_t j = 0; j < i; j++) {
        const struct url *b = &gate->upstreams[j].url;

        if (!a->host[0] || strcmp(a->host, b->host) != 0)
            continue;
        if (strcmp(a->path, b->path) == 0)
            complain(problems, i, "url",
                     "is the repository of spec.upstreams[%zu] again "
                     "(the same host and path)",
                     j);
        else if (path_inside(a->path, b->path) || path_inside(b->path, a->path))
            complain(problems, i, "url",
                     "and spec.upstreams[%zu].url lie inside one another; "
                     "git can't serve both",
                     j);
    }
}

/* /git/<name>.git and /git/<host>/ share a directory. */
static void validate_host(const struct gitgate *gate, size_t i, struct problems *problems)
{
    const char *host = gate->upstreams[i].url.host;

    for (size_t j = 0; j < gate->n_upstreams; j++) {
        const char *name = gate->upstreams[j].name;
        size_t len = name ? strlen(name) : 0;

        if (name && strncmp(host, name, len) == 0 && strcmp(host + len, ".git") == 0)
            complain(problems, i, "url",
                     "has a host that reads like the repository of upstream "
                     "\"%s\"; rename that upstream",
                     name);
    }
}

static bool same_address(const char *a, const char *b)
{
    struct ip x, y;

    if (ip_parse(a, &x) < 0 || ip_parse(b, &y) < 0)
        return true; /* said already, as no address */
    return ip_equal(&x, &y);
}

static const char *name_or_unknown(const struct upstream *u)
{
    return u->name ? u->name : "?";
}

static void compare_extra_hosts(const struct upstream *first, const struct extra_host *x,
                                const struct upstream *second, const struct extra_host *y,
                                size_t at, struct problems *problems)
{
    char field[PATH_SIZE - 64];

    if (same_address(x->ip, y->ip))
        return;
    snprintf(field, sizeof field, "extraHosts[%s]", y->host);
    complain(problems, at, field,
             "%s is %s in upstream \"%s\" and %s in upstream \"%s\"; the gate has one "
             "/etc/hosts; pick one IP",
             x->host, x->ip, name_or_unknown(first), y->ip, name_or_unknown(second));
}

/* In `seen` stands where each host was first: "host" is [upstream, place]. One look-up a host, as
 * each review of a GitGate and each verb of a gate comes by here. */
static int validate_extra_host(const struct gitgate *gate, size_t i, size_t j, json_t *seen,
                               struct problems *problems)
{
    const struct upstream *upstream = &gate->upstreams[i], *first;
    const struct extra_host *host = &upstream->extra_hosts[j];
    const json_t *place = json_object_get(seen, host->host);

    if (!place)
        return json_object_set_new(seen, host->host,
                                   json_pack("[I, I]", (json_int_t)i, (json_int_t)j));
    first = &gate->upstreams[json_integer_value(json_array_get(place, 0))];
    compare_extra_hosts(first, &first->extra_hosts[json_integer_value(json_array_get(place, 1))],
                        upstream, host, i, problems);
    return 0;
}

static void validate_extra_hosts(const struct gitgate *gate, size_t i, json_t *seen,
                                 struct problems *problems)
{
    for (size_t j = 0; j < gate->upstreams[i].n_extra_hosts; j++)
        if (validate_extra_host(gate, i, j, seen, problems) < 0)
            complain(problems, i, "extraHosts", "can't be compared: out of memory");
}

/* ---- the gate ---- */

static void validate_resources(const struct gitgate *gate, struct problems *problems)
{
    static const char *const maps[] = {"requests", "limits"};

    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        size_t n = json_object_size(json_object_get(gate->resources, maps[i]));
        char path[64];

        if (n <= RESOURCES_MAX)
            continue;
        snprintf(path, sizeof path, "spec.gate.resources.%s", maps[i]);
        problems_add(problems, path, "has %zu entries; at most %d are allowed", n, RESOURCES_MAX);
    }
}

static void validate_ports(const struct gitgate *gate, struct problems *problems)
{
    json_t *rule, *port;
    size_t i, j;

    json_array_foreach(gate->agent_egress, i, rule) {
        json_array_foreach(json_object_get(rule, "ports"), j, port) {
            json_t *end = json_object_get(port, "endPort");
            char path[PATH_SIZE];

            if (!json_is_integer(end) ||
                json_integer_value(end) >= json_integer_value(json_object_get(port, "port")))
                continue;
            snprintf(path, sizeof path, "spec.network.agentEgress.to[%zu].ports[%zu].endPort", i,
                     j);
            problems_add(problems, path, "must not be lower than port");
        }
    }
}

/* ---- the scan ---- */

/* Rules that are compiled here and beside gitleaks, or not at all: what is accepted here neither of
 * the two refuses (tests/scan/expressions). */
static void validate_rules(const struct gitgate *gate, struct problems *problems)
{
    uint64_t size = 0;
    json_t *rule;
    size_t i;

    json_array_foreach(gate->scan.rules, i, rule) {
        const char *regex = json_string_value(json_object_get(rule, "regex"));
        cleanup_expression struct expression expression = EXPRESSION_INIT;
        struct error why = ERROR_INIT;
        char path[PATH_SIZE];

        if (!regex)
            continue; /* said already */
        snprintf(path, sizeof path, "spec.scan.rules[%zu].regex", i);
        if (expression_parse_rule(regex, EXPRESSION_EXACT, &expression, &why) < 0)
            problems_add(problems, path, "%s", why.msg);
        size += expression.size;
    }
    if (size > EXPRESSIONS_SIZE_MAX)
        problems_add(problems, "spec.scan.rules",
                     "are too large together: with their repetitions they describe more than %u "
                     "bytes",
                     EXPRESSIONS_SIZE_MAX);
}

/* The gate takes it as a POSIX extended expression (regex(7)), which knows no "\\d" and no "(?": it
 * would quietly match nothing. It isn't compiled here: libc takes any amount of memory for some. */
static const char *find_foreign(const char *pattern)
{
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '\\' && isalnum((unsigned char)p[1]))
            return "has a \"\\\" before a letter or digit, which POSIX extended expressions don't "
                   "know: write a class, like [0-9]";
        if (p[0] == '(' && p[1] == '?')
            return "has a group \"(?\", which POSIX extended expressions don't know";
        p += p[0] == '\\' && p[1];
    }
    return NULL;
}

static void validate_allowed_path(const char *pattern, size_t i, struct problems *problems)
{
    cleanup_expression struct expression expression = EXPRESSION_INIT;
    const char *foreign = find_foreign(pattern);
    struct error why = ERROR_INIT;
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "spec.scan.allow[%zu].path", i);
    if (foreign)
        problems_add(problems, path, "%s", foreign);
    else if (expression_parse(pattern, EXPRESSION_EXACT, &expression, &why) < 0)
        problems_add(problems, path, "%s", why.msg);
}

/* An entry that names nothing would allow everything. */
static void validate_allow(const struct gitgate *gate, struct problems *problems)
{
    json_t *entry;
    size_t i;

    json_array_foreach(gate->scan.allow, i, entry) {
        const char *pattern = json_string_value(json_object_get(entry, "path"));
        char path[PATH_SIZE];

        if (pattern)
            validate_allowed_path(pattern, i, problems);
        if (json_object_get(entry, "rule") || json_object_get(entry, "path") ||
            json_object_get(entry, "fingerprint"))
            continue;
        snprintf(path, sizeof path, "spec.scan.allow[%zu]", i);
        problems_add(problems, path, "must name a rule, a path or a fingerprint");
    }
}

void gitgate_validate(struct gitgate *gate, struct problems *problems)
{
    json_t *list = json_object_get(json_object_get(gate->source, "spec"), "upstreams");
    json_auto_t *seen = json_object();

    if (gate->placement == PLACEMENT_GATEWAY)
        problems_add(problems, "spec.placement",
                     "Gateway placement is not available yet; use Sidecar");
    for (size_t i = 0; i < gate->n_upstreams; i++) {
        validate_url(&gate->upstreams[i], i, problems);
        validate_auth(&gate->upstreams[i], i, json_array_get(list, i), problems);
    }
    for (size_t i = 0; i < gate->n_upstreams; i++) {
        validate_name(gate, i, problems);
        validate_place(gate, i, problems);
        validate_host(gate, i, problems);
        validate_extra_hosts(gate, i, seen, problems);
    }
    validate_resources(gate, problems);
    validate_ports(gate, problems);
    validate_rules(gate, problems);
    validate_allow(gate, problems);
}
