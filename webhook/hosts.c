#include "hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "data/json_text.h"

/* sethostname(2): the kubelet cuts a pod's name there. */
#define HOSTNAME_MAX 63

struct host {
    const char *name;
    const char *ip; /* NULL: an upstream's host whose address is the resolver's */
    size_t place;   /* in the GitGate: who comes first there does so among the equal */
};

struct hosts {
    char *gate;
    struct host *list;   /* by name, each once */
    struct host **by_ip; /* those that have one */
    size_t n, n_by_ip;
};

/* ---- Made once ----------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct host *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Of the same host that with an address first. */
static int compare_hosts(const void *a, const void *b)
{
    const struct host *x = a, *y = b;
    int order = compare_names(a, b);

    if (order == 0)
        order = (x->ip == NULL) - (y->ip == NULL);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static int compare_ips(const void *a, const void *b)
{
    const struct host *const *x = a, *const *y = b;
    int order = strcmp((*x)->ip, (*y)->ip);

    return order ? order : ((*x)->place > (*y)->place) - ((*x)->place < (*y)->place);
}

static void add(struct hosts *hosts, const char *name, const char *ip)
{
    hosts->list[hosts->n] = (struct host){name, ip, hosts->n};
    hosts->n++;
}

static void collect(struct hosts *hosts, const struct gitgate *gate)
{
    add(hosts, GITGATE_HOSTNAME, "127.0.0.1");
    for (size_t i = 0; i < gate->n_upstreams; i++) {
        const struct upstream *upstream = &gate->upstreams[i];

        add(hosts, upstream->url.host, NULL);
        for (size_t j = 0; j < upstream->n_extra_hosts; j++)
            add(hosts, upstream->extra_hosts[j].host, upstream->extra_hosts[j].ip);
    }
}

static void sort(struct hosts *hosts)
{
    size_t n = 0;

    qsort(hosts->list, hosts->n, sizeof *hosts->list, compare_hosts);
    for (size_t i = 0; i < hosts->n; i++)
        if (n == 0 || strcmp(hosts->list[n - 1].name, hosts->list[i].name) != 0)
            hosts->list[n++] = hosts->list[i];
    hosts->n = n;
    for (size_t i = 0; i < n; i++)
        if (hosts->list[i].ip)
            hosts->by_ip[hosts->n_by_ip++] = &hosts->list[i];
    qsort((void *)hosts->by_ip, hosts->n_by_ip, sizeof *hosts->by_ip, compare_ips);
}

struct hosts *hosts_new(const struct gitgate *gate)
{
    struct hosts *hosts = calloc(1, sizeof *hosts);
    size_t max = 1;

    if (!hosts)
        return NULL;
    for (size_t i = 0; i < gate->n_upstreams; i++)
        max += 1 + gate->upstreams[i].n_extra_hosts;
    hosts->gate = strdup(gate->name);
    hosts->list = calloc(max, sizeof *hosts->list);
    hosts->by_ip = calloc(max, sizeof *hosts->by_ip);
    if (!hosts->gate || !hosts->list || !hosts->by_ip) {
        hosts_free(hosts);
        return NULL;
    }
    collect(hosts, gate);
    sort(hosts);
    return hosts;
}

void hosts_free(struct hosts *hosts)
{
    if (!hosts)
        return;
    free((void *)hosts->by_ip);
    free(hosts->list);
    free(hosts->gate);
    free(hosts);
}

static const struct host *find(const struct hosts *hosts, const char *name)
{
    struct host key = {.name = name};

    return name ? bsearch(&key, hosts->list, hosts->n, sizeof *hosts->list, compare_names) : NULL;
}

/* ---- The pod's own names ------------------------------------------------------------------- */

static void refuse_own(const struct hosts *hosts, const char *field, const struct host *taken,
                       struct problems *problems)
{
    if (taken)
        problems_add(problems, field,
                     "choose another: in the pod's /etc/hosts \"%.253s\" would be the pod itself, "
                     "and for GitGate \"%s\" it is %s",
                     taken->name, hosts->gate,
                     strcmp(taken->name, GITGATE_HOSTNAME) == 0 ? "the gate"
                                                                : "an upstream's host");
}

/* As the kubelet does: what is too long is cut, and may not end in what a name can't end in. */
static void cut(char name[HOSTNAME_MAX + 1], const char *text)
{
    size_t len = strlen(text);

    if (len > HOSTNAME_MAX) {
        len = HOSTNAME_MAX;
        while (len > 0 && strchr("-.", text[len - 1]))
            len--;
    }
    memcpy(name, text, len);
    name[len] = '\0';
}

/* "<hostname>.<subdomain>.<namespace>.svc.<the cluster's domain>", which no review tells. */
static const struct host *find_below(const struct hosts *hosts, const char *prefix)
{
    for (size_t i = 0; i < hosts->n; i++)
        if (strncmp(hosts->list[i].name, prefix, strlen(prefix)) == 0)
            return &hosts->list[i];
    return NULL;
}

static void guard_subdomain(const struct hosts *hosts, const char *hostname, const char *subdomain,
                            const char *namespace_, struct problems *problems)
{
    char prefix[1024];
    int n = snprintf(prefix, sizeof prefix, "%s.%s.%s.svc.", hostname, subdomain, namespace_);

    if (n > 0 && (size_t)n < sizeof prefix) /* no host has a longer name */
        refuse_own(hosts, "spec.subdomain", find_below(hosts, prefix), problems);
}

void hosts_guard(const struct hosts *hosts, const struct node *pod, const char *namespace_,
                 struct problems *problems)
{
    const struct node *spec = node_get(pod, "spec");
    const char *name = node_string(node_get(node_get(pod, "metadata"), "name"));
    const char *given = node_string(node_get(spec, "hostname"));
    const char *subdomain = node_string(node_get(spec, "subdomain"));
    char hostname[HOSTNAME_MAX + 1] = "";

    if (given && *given)
        cut(hostname, given);
    else if (name)
        cut(hostname, name);
    refuse_own(hosts, given && *given ? "spec.hostname" : "metadata.name", find(hosts, hostname),
               problems);
    refuse_own(hosts, "spec.hostnameOverride",
               find(hosts, node_string(node_get(spec, "hostnameOverride"))), problems);
    if (subdomain && *subdomain)
        guard_subdomain(hosts, hostname, subdomain, namespace_, problems);
}

/* ---- Aliases ------------------------------------------------------------------------------- */

/* The pod's entry of an address, and where it is in the list. */
struct entry {
    const struct node *alias; /* NULL: there is none */
    size_t at;
};

/* The pod's aliases as far as they concern the gate. */
struct aliases {
    bool *settled;         /* as `list`: the pod has it already, or there is a problem */
    struct entry *entries; /* as `by_ip`, where an address stands first */
};

static void refuse_alias(const struct hosts *hosts, const struct host *host, const char *ip,
                         size_t at, struct problems *problems)
{
    char path[64];

    snprintf(path, sizeof path, "spec.hostAliases[%zu]", at);
    if (host->ip)
        problems_add(problems, path,
                     "\"%.253s\" is %.64s here and %s in GitGate \"%s\": the pod has one "
                     "/etc/hosts; remove one of them",
                     host->name, ip, host->ip, hosts->gate);
    else
        problems_add(problems, path,
                     "\"%.253s\" is an upstream's host in GitGate \"%s\": remove it here, and set "
                     "extraHosts of that upstream if it needs an address",
                     host->name, hosts->gate);
}

static void read_names(const struct hosts *hosts, const struct node *alias, size_t at,
                       struct aliases *ret, struct problems *problems)
{
    const char *ip = node_string(node_get(alias, "ip"));
    const struct node *name;

    node_each(node_get(alias, "hostnames"), name)
    {
        const struct host *host = find(hosts, node_string(name));

        if (!host)
            continue;
        ret->settled[host - hosts->list] = true;
        if (!ip || !host->ip || strcmp(host->ip, ip) != 0)
            refuse_alias(hosts, host, ip ? ip : "nothing", at, problems);
    }
}

/* Where by_ip has the first name of the address; hosts->n_by_ip when it has none. */
static size_t first_of(const struct hosts *hosts, const char *ip)
{
    size_t low = 0, high = hosts->n_by_ip;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(hosts->by_ip[middle]->ip, ip) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < hosts->n_by_ip && strcmp(hosts->by_ip[low]->ip, ip) == 0 ? low : hosts->n_by_ip;
}

static void read_aliases(const struct hosts *hosts, const struct node *theirs, struct aliases *ret,
                         struct problems *problems)
{
    const struct node *alias;
    size_t at = 0;

    node_each(theirs, alias)
    {
        const char *ip = node_string(node_get(alias, "ip"));
        size_t first = ip ? first_of(hosts, ip) : hosts->n_by_ip;

        read_names(hosts, alias, at, ret, problems);
        if (first < hosts->n_by_ip && !ret->entries[first].alias)
            ret->entries[first] = (struct entry){alias, at};
        at++;
    }
}

/* `ip` is the list's key in the API: a name joins the entry of its address that the pod has. */
static void join_entry(const struct entry *entry, const struct pointer *aliases,
                       const struct host *const *names, size_t n, struct patch *patch)
{
    struct pointer at = pointer_index(aliases, entry->at);
    struct pointer list = pointer_member(&at, "hostnames");
    bool exists = node_is(node_get(entry->alias, "hostnames"), NODE_ARRAY);

    for (size_t i = 0; i < n; i++) {
        cleanup_buf struct buf text = BUF_INIT(1024);

        json_text_write(&text, names[i]->name, strlen(names[i]->name));
        patch_append(patch, &list, &exists, buf_error(&text) ? NULL : text.data);
    }
}

static void add_entry(const struct host *const *names, size_t n, struct pointer *list, bool *exists,
                      struct patch *patch)
{
    cleanup_buf struct buf text = BUF_INIT(PATCH_MAX);

    buf_addf(&text, "{\"ip\":\"%s\",\"hostnames\":", names[0]->ip);
    for (size_t i = 0; i < n; i++) {
        buf_addc(&text, i ? ',' : '[');
        json_text_write(&text, names[i]->name, strlen(names[i]->name));
    }
    buf_adds(&text, "]}");
    patch_append(patch, list, exists, buf_error(&text) ? NULL : text.data);
}

/* Each address in turn, with those of its names that are missing. */
static void write_aliases(const struct hosts *hosts, const struct node *theirs,
                          const struct aliases *aliases, const struct host **missing,
                          struct patch *patch)
{
    struct pointer spec = pointer_to("/spec"), list = pointer_member(&spec, "hostAliases");
    bool exists = node_is(theirs, NODE_ARRAY);

    for (size_t first = 0, end; first < hosts->n_by_ip; first = end) {
        size_t n = 0;

        for (end = first;
             end < hosts->n_by_ip && strcmp(hosts->by_ip[end]->ip, hosts->by_ip[first]->ip) == 0;
             end++)
            if (!aliases->settled[hosts->by_ip[end] - hosts->list])
                missing[n++] = hosts->by_ip[end];
        if (n > 0 && aliases->entries[first].alias)
            join_entry(&aliases->entries[first], &list, missing, n, patch);
        else if (n > 0)
            add_entry(missing, n, &list, &exists, patch);
    }
}

void hosts_patch(const struct hosts *hosts, const struct node *spec, struct patch *patch,
                 struct problems *problems)
{
    const struct node *theirs = node_get(spec, "hostAliases");
    cleanup_free bool *settled = calloc(hosts->n, sizeof *settled);
    cleanup_free struct entry *entries = calloc(hosts->n, sizeof *entries);
    cleanup_free const struct host **missing = calloc(hosts->n, sizeof *missing);
    struct aliases aliases = {settled, entries};

    if (!settled || !entries || !missing) {
        patch->err = -ENOMEM;
        return;
    }
    read_aliases(hosts, theirs, &aliases, problems);
    write_aliases(hosts, theirs, &aliases, missing, patch);
}
