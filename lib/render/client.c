/* The agents' git configuration: insteadOf rules. git takes the longest prefix that fits, as plain
 * text; so every prefix here ends in a slash (or in the colon of user@host:), or `app` would also
 * catch `application`. A repository's directory is rewritten, not the repository: `app`, `app.git`
 * and relative submodule URLs all reach the gate, which knows what it serves. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "render/object.h"
#include "render/render.h"

#define GITCONFIG_MAX (1u << 20) /* a ConfigMap's own limit */
#define USERS_MAX 3
#define HOST_TEXT_MAX (URL_HOST_MAX + 3)

/* Collects the rules: a prefix that is already there is not written again. */
struct rules {
    struct buf text;
    json_t *seen;
    char base[URL_MAX + URL_HOST_MAX];
    bool opened; /* the section of `base` */
};

__attribute__((format(printf, 2, 3))) static void add_rule(struct rules *rules, const char *fmt,
                                                           ...)
{
    char prefix[URL_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    if (json_object_get(rules->seen, prefix))
        return;
    if (json_object_set_new(rules->seen, prefix, json_true()) < 0) {
        rules->text.err = -ENOMEM;
        return;
    }
    if (!rules->opened)
        buf_addf(&rules->text, "[url \"%s\"]\n", rules->base);
    rules->opened = true;
    /* Both: a pushInsteadOf of the agent's own would take the pushes elsewhere. */
    buf_addf(&rules->text, "    insteadOf = %s\n    pushInsteadOf = %s\n", prefix, prefix);
}

/* The gate's own URLs stay as they are: who writes https for all of git:// would lose them. */
static void add_gate(struct rules *rules, const char *authority)
{
    snprintf(rules->base, sizeof rules->base, "git://%s/", authority);
    add_rule(rules, "%s", rules->base);
}

/* The user that the URL names, the one that everybody names, and none. "" stands for none. */
static size_t list_users(const struct url *url, const char *users[USERS_MAX])
{
    size_t n = 0;

    if (*url->user && strcmp(url->user, "git") != 0)
        users[n++] = url->user;
    users[n++] = "git";
    users[n++] = "";
    return n;
}

static void add_ssh(struct rules *rules, const char *user, const char *host, uint16_t port,
                    const char *dir)
{
    const char *at = *user ? "@" : "";

    add_rule(rules, "ssh://%s%s%s:%u/%s", user, at, host, port, dir);
    if (port != url_default_port(URL_SSH))
        return; /* what names no port means another server */
    add_rule(rules, "ssh://%s%s%s/%s", user, at, host, dir);
    add_rule(rules, "%s%s%s:%s", user, at, host, dir);
    add_rule(rules, "%s%s%s:/%s", user, at, host, dir);
}

static void add_https(struct rules *rules, const char *host, uint16_t port, const char *dir)
{
    add_rule(rules, "https://%s:%u/%s", host, port, dir);
    if (port == url_default_port(URL_HTTPS))
        add_rule(rules, "https://%s/%s", host, dir);
}

/* Agents write an ssh upstream as https and the reverse: the other scheme is taken at its default
 * port. */
static uint16_t port_for(const struct url *url, enum url_scheme scheme)
{
    return url->scheme == scheme ? url->port : url_default_port(scheme);
}

static void add_host(struct rules *rules, const struct url *url, const char *name, const char *dir)
{
    const char *users[USERS_MAX];
    size_t n = list_users(url, users);
    char host[HOST_TEXT_MAX];

    snprintf(host, sizeof host, strchr(name, ':') ? "[%s]" : "%s", name);
    for (size_t i = 0; i < n; i++)
        add_ssh(rules, users[i], host, port_for(url, URL_SSH), dir);
    add_https(rules, host, port_for(url, URL_HTTPS), dir);
}

/* Hosts are the same in either case, prefixes are not: as the GitGate has it, and in lower case. */
static void add_upstream(struct rules *rules, const struct url *url, const char *authority)
{
    const char *slash = strrchr(url->path, '/');
    size_t len = slash ? (size_t)(slash - url->path) + 1 : 0;
    char dir[URL_PATH_MAX + 1];

    memcpy(dir, url->path, len);
    dir[len] = '\0';
    snprintf(rules->base, sizeof rules->base, "git://%s/%s/%s", authority, url->host, dir);
    rules->opened = false;
    add_host(rules, url, url->host, dir);
    add_host(rules, url, url->written_host, dir);
}

json_t *render_client(const struct gitgate *gate, const char *authority)
{
    cleanup_buf struct buf text = BUF_INIT(GITCONFIG_MAX);
    json_auto_t *seen = json_object();
    struct rules rules = {.text = text, .seen = seen};

    buf_addf(&rules.text,
             "# Written by gitgate for GitGate \"%s\": every spelling of its upstreams' URLs leads "
             "to the gate.\n",
             gate->name);
    add_gate(&rules, authority);
    for (size_t i = 0; i < gate->n_upstreams; i++)
        add_upstream(&rules, &gate->upstreams[i].url, authority);
    text = rules.text;
    if (!seen || buf_error(&text))
        return NULL;
    return object_with(object_new(gate, "v1", "ConfigMap", NAME_CLIENT), "data",
                       json_pack("{s:s}", "gitconfig", text.data));
}
