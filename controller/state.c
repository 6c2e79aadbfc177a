#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/ip.h"

#define STRINGS_MAX (64u << 10) /* what a gate holds or refers to: hundreds of names */

static bool same_strings(const char *strings, const struct buf *wanted)
{
    size_t len = 0;
    const char *string;

    strings_each(strings, string)
    {
        len += strlen(string) + 1;
    }
    return !buf_error(wanted) && len == wanted->len &&
           (!len || memcmp(strings, wanted->data, len) == 0);
}

/* No larger than it must be. NULL when memory is short. */
static char *strings_of(const struct buf *wanted)
{
    char *strings = buf_error(wanted) ? NULL : malloc(wanted->len + 1);

    return strings ? memcpy(strings, wanted->data, wanted->len + 1) : NULL;
}

/* ---- Hosts -------------------------------------------------------------------------------- */

const char *fixed_address(const struct gitgate *gate, const struct upstream *upstream)
{
    const char *extra = gitgate_extra_ip(gate, upstream->url.host);
    struct ip ip;

    if (extra)
        return extra;
    return ip_parse(upstream->url.host, &ip) == 0 ? upstream->url.host : NULL;
}

static const char *host_to_resolve(const struct gitgate *gate, const struct upstream *upstream)
{
    return fixed_address(gate, upstream) ? NULL : upstream->url.host;
}

/* Those before `end`; NULL: all. */
static void drop_hosts(struct gate_state *state, const char *hosts, const char *end)
{
    const char *host;

    strings_each(hosts, host)
    {
        if (host == end)
            return;
        resolver_drop(state->controller->resolver, kube_store_namespace_of(state), host);
    }
}

static int hold_hosts(struct gate_state *state, const char *hosts)
{
    const char *host;

    strings_each(hosts, host)
    {
        if (resolver_hold(state->controller->resolver, kube_store_namespace_of(state), host) < 0) {
            drop_hosts(state, hosts, host);
            return -ENOMEM;
        }
    }
    return 0;
}

/* The new ones are held before the old ones are dropped: what is in both stays known. */
int state_hold_hosts(struct gate_state *state, const struct gitgate *gate)
{
    cleanup_buf struct buf wanted = BUF_INIT(STRINGS_MAX);
    cleanup_free char *hosts = NULL;

    for (size_t i = 0; gate && i < gate->n_upstreams; i++) {
        const char *host = host_to_resolve(gate, &gate->upstreams[i]);

        if (host)
            buf_add(&wanted, host, strlen(host) + 1);
    }
    if (same_strings(state->hosts, &wanted))
        return 0;
    hosts = strings_of(&wanted);
    if (!hosts || hold_hosts(state, hosts) < 0)
        return -ENOMEM;
    drop_hosts(state, state->hosts, NULL);
    free(state->hosts);
    state->hosts = TAKE_PTR(hosts);
    return 0;
}

bool state_holds(const struct gate_state *state, const char *host)
{
    const char *held;

    strings_each(state->hosts, held)
    {
        if (strcmp(held, host) == 0)
            return true;
    }
    return false;
}

/* ---- References --------------------------------------------------------------------------- */

/* One range of the index an object, with the gates in it by name: see kube_store_each. A value is a
 * pointer to the gate's state. */
static void add_reference_key(struct buf *to, const struct kube_resource *resource, const char *ns,
                              const char *name)
{
    buf_addf(to, "%s/%s/%s", resource->plural, ns, name);
}

struct kube_store *references_new(void)
{
    return kube_store_new(NULL);
}

static void drop_references(struct gate_state *state)
{
    const char *key;

    strings_each(state->references, key)
    {
        kube_store_remove(state->controller->references, key, kube_store_name_of(state));
    }
    free(state->references);
    state->references = NULL;
}

int state_refer(struct gate_state *state, const struct sources *sources)
{
    cleanup_buf struct buf wanted = BUF_INIT(STRINGS_MAX);
    const char *key;

    for (size_t i = 0; i < sources->n; i++) {
        add_reference_key(&wanted, sources->list[i].resource, kube_store_namespace_of(state),
                          sources->list[i].name);
        buf_addc(&wanted, '\0');
    }
    if (same_strings(state->references, &wanted))
        return 0;
    drop_references(state);
    state->references = strings_of(&wanted);
    if (!state->references)
        return -ENOMEM;
    strings_each(state->references, key)
    {
        if (!kube_store_put(state->controller->references, key, kube_store_name_of(state), &state,
                            sizeof(struct gate_state *))) {
            drop_references(state);
            return -ENOMEM;
        }
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
    const struct gate_state *const *state = value;

    (void)key;
    visit->each(visit->controller, kube_store_namespace_of(*state), name);
    return true;
}

void references_each(struct controller *controller, const struct kube_resource *resource,
                     const char *ns, const char *name,
                     void (*each)(struct controller *controller, const char *ns, const char *gate))
{
    struct visit visit = {controller, each};
    cleanup_buf struct buf key = BUF_INIT(STRINGS_MAX);

    add_reference_key(&key, resource, ns, name);
    if (!buf_error(&key))
        kube_store_each(controller->references, key.data, visit_state, &visit);
}

/* ---- Writes on their way ------------------------------------------------------------------ */

static void begin(struct write *write)
{
    *write = (struct write){.under_way = true};
}

static bool tell(struct write *write, uint64_t version)
{
    if (!write->under_way)
        return false;
    write->version = version;
    write->told++;
    return true;
}

/* Whether there was more than the one change that it led to. */
static bool end(struct write *write, uint64_t version)
{
    bool more = write->told > 1 || (write->told == 1 && write->version != version);

    *write = (struct write){0};
    return more;
}

bool state_told(struct gate_state *state, enum owned which, const struct seen *seen)
{
    return state->writes && tell(&state->writes->owned[which], seen ? seen->version : 0);
}

void state_will_write(struct gate_state *state, enum owned which)
{
    begin(&state->writes->owned[which]);
}

bool state_wrote(struct gate_state *state, enum owned which, const struct node *object)
{
    const struct owned_type *type = &owned_types[which];
    struct kube_watch *watch = controller_watch(state->controller, type->resource);
    struct name name = gitgate_owned_name(kube_store_name_of(state), type->name);
    struct seen seen = seen_of(object);
    bool told = state->writes->owned[which].told > 0;

    state_accept(state, which, seen.version);
    if (!told && (!object || seen.version)) /* an answer that can't be read: the watch tells it */
        kube_watch_wrote(watch, kube_store_namespace_of(state), name.text, object ? &seen : NULL,
                         sizeof seen);
    return end(&state->writes->owned[which], seen.version);
}

void state_will_write_status(struct gate_state *state)
{
    begin(&state->writes->status);
}

/* ---- Writes that the watch has not told yet ----------------------------------------------- */

static void forget_written(struct written *written)
{
    free(written->text);
    *written = (struct written){0};
}

/* The watch still tells what it told before the write. */
static bool is_newer(const struct written *written, uint64_t version)
{
    return written->text && written->before && written->before == version;
}

void state_accept(struct gate_state *state, enum owned which, uint64_t version)
{
    state->accepted[which] = version;
}

void state_accept_nothing(struct gate_state *state)
{
    memset(state->accepted, 0, sizeof state->accepted);
}

bool state_is_own_write(const struct gate_state *state, enum owned which, const struct seen *seen)
{
    return state->accepted[which] && state->accepted[which] == seen->version;
}

const struct seen *state_see(const struct gate_state *state, enum owned which)
{
    const struct owned_type *type = &owned_types[which];

    return kube_store_get(kube_watch_store(controller_watch(state->controller, type->resource)),
                          kube_store_namespace_of(state),
                          gitgate_owned_name(kube_store_name_of(state), type->name).text);
}

json_t *state_see_status(struct gate_state *state, uint64_t version, const json_t *gate)
{
    json_auto_t *sent = NULL;

    if (is_newer(&state->status, version)) {
        sent = json_loads(state->status.text, 0, NULL);
        return json_incref(json_object_get(sent, "status"));
    }
    forget_written(&state->status);
    return json_incref(json_object_get(gate, "status"));
}

bool state_is_own_status(const struct gate_state *state, uint64_t version)
{
    return state->status_version && state->status_version == version;
}

bool state_told_gate(struct gate_state *state, uint64_t version)
{
    if (!is_newer(&state->status, version))
        forget_written(&state->status);
    return state->writes && tell(&state->writes->status, version);
}

bool state_wrote_status(struct gate_state *state, uint64_t before, const char *after, char *text)
{
    cleanup_free char *sent = text;
    bool told = state->writes->status.told > 0; /* then the watch knows as much, or better */

    state->status_version = version_parse(after);
    forget_written(&state->status);
    if (!told)
        state->status = (struct written){before, TAKE_PTR(sent)};
    return end(&state->writes->status, state->status_version);
}

void state_remember_creds(struct gate_state *state, const struct digest *made_from,
                          const json_t *problems)
{
    bool some = json_array_size(problems);

    free(state->creds_problems);
    state->creds_problems = some ? json_dumps(problems, JSON_COMPACT) : NULL;
    state->made_from = some && !state->creds_problems ? (struct digest){0} : *made_from;
}

bool state_knows_creds(const struct gate_state *state, const struct digest *made_from, json_t **ret)
{
    *ret = NULL;
    if (!digest_equal(&state->made_from, made_from))
        return false;
    if (state->creds_problems)
        *ret = json_loads(state->creds_problems, 0, NULL);
    return *ret || !state->creds_problems;
}

/* ---- Life --------------------------------------------------------------------------------- */

struct gate_state *state_of(struct controller *controller, const char *ns, const char *name)
{
    struct gate_state *state = kube_store_make(controller->states, ns, name, sizeof *state);

    if (state)
        state->controller = controller;
    return state;
}

void state_done(void *value)
{
    struct gate_state *state = value;

    drop_hosts(state, state->hosts, NULL);
    free(state->hosts);
    drop_references(state);
    forget_written(&state->status);
    free(state->creds_problems);
    free(state->events);
    free(state->put_off);
}
