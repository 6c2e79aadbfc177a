#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ip.h"

/* ---- Hosts -------------------------------------------------------------------------------- */

const char *fixed_address(const struct gitgate *gate, const struct upstream *upstream)
{
    const char *extra = gitgate_extra_ip(gate, upstream->url.host);
    struct ip ip;

    if (extra)
        return extra;
    return ip_parse(upstream->url.host, &ip) == 0 ? upstream->url.host : NULL;
}

const char *host_to_resolve(const struct gitgate *gate, const struct upstream *upstream)
{
    return fixed_address(gate, upstream) ? NULL : upstream->url.host;
}

static void drop_hosts(struct gate_state *state, char **hosts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        resolver_drop(state->controller->resolver, state->ns, hosts[i]);
        free(hosts[i]);
    }
    free(hosts);
}

/* The new ones are held before the old ones are dropped: what is in both stays known. */
int state_hold_hosts(struct gate_state *state, const struct gitgate *gate)
{
    size_t n = 0, n_upstreams = gate ? gate->n_upstreams : 0;
    char **hosts = calloc(n_upstreams + 1, sizeof *hosts);

    if (!hosts)
        return -ENOMEM;
    for (size_t i = 0; i < n_upstreams; i++) {
        const char *host = host_to_resolve(gate, &gate->upstreams[i]);

        if (!host)
            continue;
        hosts[n] = strdup(host);
        if (!hosts[n] || resolver_hold(state->controller->resolver, state->ns, host) < 0) {
            free(hosts[n]);
            drop_hosts(state, hosts, n);
            return -ENOMEM;
        }
        n++;
    }
    drop_hosts(state, state->hosts, state->n_hosts);
    state->hosts = hosts;
    state->n_hosts = n;
    return 0;
}

bool state_holds(const struct gate_state *state, const char *host)
{
    for (size_t i = 0; i < state->n_hosts; i++)
        if (strcmp(state->hosts[i], host) == 0)
            return true;
    return false;
}

/* ---- References --------------------------------------------------------------------------- */

/* One range of the index an object, with the gates in it by name: see kube_store_each. */
static char *reference_key(const struct kube_resource *resource, const char *ns, const char *name)
{
    char *key = NULL;

    return asprintf(&key, "%s/%s/%s", resource->plural, ns, name) < 0 ? NULL : key;
}

static void keep_state(void *state)
{
    (void)state; /* it belongs to controller->states */
}

struct kube_store *references_new(void)
{
    return kube_store_new(keep_state);
}

static void drop_references(struct gate_state *state, char **keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        kube_store_remove(state->controller->references, keys[i], state->name);
        free(keys[i]);
    }
    free(keys);
}

int state_refer(struct gate_state *state, const struct sources *sources)
{
    char **keys = calloc(sources->n + 1, sizeof *keys);
    size_t n;

    if (!keys)
        return -ENOMEM;
    drop_references(state, state->references, state->n_references);
    state->references = keys;
    state->n_references = 0;
    for (n = 0; n < sources->n; n++) {
        keys[n] = reference_key(sources->list[n].resource, state->ns, sources->list[n].name);
        if (!keys[n] ||
            kube_store_put(state->controller->references, keys[n], state->name, state) < 0) {
            free(keys[n]);
            return -ENOMEM;
        }
        state->n_references++;
    }
    return 0;
}

struct visit {
    struct controller *controller;
    void (*each)(struct controller *controller, const char *ns, const char *gate);
};

static bool visit_state(void *data, const char *key, const char *name, void *value)
{
    const struct visit *visit = data;
    const struct gate_state *state = value;

    (void)key;
    visit->each(visit->controller, state->ns, name);
    return true;
}

void references_each(struct controller *controller, const struct kube_resource *resource,
                     const char *ns, const char *name,
                     void (*each)(struct controller *controller, const char *ns, const char *gate))
{
    struct visit visit = {controller, each};
    cleanup_free char *key = reference_key(resource, ns, name);

    if (key)
        kube_store_each(controller->references, key, visit_state, &visit);
}

/* ---- Writes on their way ------------------------------------------------------------------ */

static void set_text(char **to, const char *text)
{
    free(*to);
    *to = text ? strdup(text) : NULL;
}

static void begin(struct write *write)
{
    set_text(&write->version, NULL);
    write->told = 0;
    write->under_way = true;
}

static bool tell(struct write *write, const char *version)
{
    if (!write->under_way)
        return false;
    set_text(&write->version, version);
    write->told++;
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether there was more than the one change that it led to. */
static bool end(struct write *write, const char *version)
{
    bool more = write->told > 1 || (write->told == 1 && !same_text(write->version, version));

    write->under_way = false;
    set_text(&write->version, NULL);
    return more;
}

bool state_told(struct gate_state *state, enum owned which, const struct seen *seen)
{
    return tell(&state->writes[which], seen ? seen->version : NULL);
}

void state_will_write(struct gate_state *state, enum owned which)
{
    begin(&state->writes[which]);
}

bool state_wrote(struct gate_state *state, enum owned which, const struct node *object)
{
    const struct owned_type *type = &owned_types[which];
    struct kube_watch *watch = controller_watch(state->controller, type->resource);
    struct seen *seen = object ? seen_new(object) : NULL;
    const char *version = seen ? seen->version : NULL;
    bool told = state->writes[which].told > 0, more = end(&state->writes[which], version);

    set_text(&state->accepted[which], version);
    if (told || (object && !seen))
        free(seen);
    else
        kube_watch_wrote(watch, state->ns, gitgate_owned_name(state->name, type->name).text, seen);
    return more;
}

void state_will_write_status(struct gate_state *state)
{
    begin(&state->status_write);
}

void state_writes_nothing(struct gate_state *state)
{
    for (size_t i = 0; i < OWNED_N; i++)
        end(&state->writes[i], NULL);
    end(&state->status_write, NULL);
}

/* ---- Writes that the watch has not told yet ----------------------------------------------- */

static void forget_written(struct written *written)
{
    free(written->before);
    json_decref(written->status);
    *written = (struct written){0};
}

/* The watch still tells what it told before the write. */
static bool is_newer(const struct written *written, const char *version)
{
    return written->before && strcmp(written->before, version) == 0;
}

void state_accept(struct gate_state *state, enum owned which, const char *version)
{
    if (!same_text(state->accepted[which], version))
        set_text(&state->accepted[which], version);
}

void state_accept_nothing(struct gate_state *state)
{
    for (enum owned i = 0; i < OWNED_N; i++)
        state_accept(state, i, NULL);
}

bool state_is_own_write(const struct gate_state *state, enum owned which, const struct seen *seen)
{
    return state->accepted[which] && strcmp(state->accepted[which], seen->version) == 0;
}

const struct seen *state_see(const struct gate_state *state, enum owned which)
{
    const struct owned_type *type = &owned_types[which];

    return kube_store_get(kube_watch_store(controller_watch(state->controller, type->resource)),
                          state->ns, gitgate_owned_name(state->name, type->name).text);
}

static const char *version_of(const json_t *object)
{
    const char *version =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));

    return version ? version : "";
}

const json_t *state_see_status(struct gate_state *state, const json_t *gate)
{
    if (is_newer(&state->status, version_of(gate)))
        return state->status.status;
    forget_written(&state->status);
    return json_object_get(gate, "status");
}

bool state_is_own_status(const struct gate_state *state, const char *version)
{
    return state->status_version && strcmp(state->status_version, version) == 0;
}

bool state_told_gate(struct gate_state *state, const char *version)
{
    if (!is_newer(&state->status, version))
        forget_written(&state->status);
    return tell(&state->status_write, version);
}

bool state_wrote_status(struct gate_state *state, const char *before, const char *after,
                        json_t *status)
{
    bool told = state->status_write.told > 0; /* then the watch knows as much, or better */

    set_text(&state->status_version, after);
    forget_written(&state->status);
    if (!told) {
        state->status.before = strdup(before);
        state->status.status = json_incref(status);
    }
    return end(&state->status_write, after);
}

void state_remember_creds(struct gate_state *state, const struct digest *made_from,
                          json_t *problems)
{
    json_decref(state->creds_problems);
    state->creds_problems = json_incref(problems);
    state->made_from = *made_from;
}

/* ---- Life --------------------------------------------------------------------------------- */

struct gate_state *state_of(struct controller *controller, const char *ns, const char *name)
{
    struct gate_state *state = kube_store_get(controller->states, ns, name);

    if (state)
        return state;
    state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    state->controller = controller;
    state->ns = strdup(ns);
    state->name = strdup(name);
    if (!state->ns || !state->name) {
        state_free(state);
        return NULL;
    }
    return kube_store_put(controller->states, ns, name, state) < 0 ? NULL : state;
}

void state_free(void *value)
{
    struct gate_state *state = value;

    drop_hosts(state, state->hosts, state->n_hosts);
    drop_references(state, state->references, state->n_references);
    free(state->ns);
    free(state->name);
    state_accept_nothing(state);
    state_writes_nothing(state);
    forget_written(&state->status);
    free(state->status_version);
    json_decref(state->creds_problems);
    free(state->events);
    free(state);
}
