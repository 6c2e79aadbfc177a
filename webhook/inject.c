#include "inject.h"

#include <errno.h>
#include <string.h>

#include "agent.h"
#include "guard.h"
#include "parts.h"
#include "patch.h"
#include "select.h"

struct injection {
    const json_t *pod;
    const json_t *spec;
    const json_t *old_pod; /* of an UPDATE */
    const struct gate *gate;
    const struct inject_options *options;
    bool outdated; /* it was injected when the gate was rendered otherwise */
    struct patch patch;
    struct problems problems;
};

/* An array of the pod that grows: it is made when it isn't there. */
struct growing {
    struct patch *patch;
    struct pointer at;
    bool exists;
};

static struct growing growing(struct injection *in, const json_t *array, const char *pointer)
{
    return (struct growing){&in->patch, pointer_to(pointer), json_is_array(array)};
}

static void grow(struct growing *array, json_t *value)
{
    if (array->exists)
        patch_add(array->patch, pointer_end(&array->at), value);
    else
        patch_add(array->patch, array->at, json_pack("[o]", value));
    array->exists = true;
}

/* The element of `list` whose member `key` is `text`; `*index` is the list's size when there is
 * none. */
static const json_t *find(const json_t *list, const char *key, const char *text, size_t *index)
{
    size_t n = json_array_size(list);

    for (*index = 0; *index < n; ++*index) {
        const json_t *element = json_array_get(list, *index);
        const char *value = json_string_value(json_object_get(element, key));

        if (value && text && strcmp(value, text) == 0)
            return element;
    }
    return NULL;
}

static const char *name_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "name"));
}

/* Ours by name, but not by content: brought along with the pod, or changed by somebody after us. */
static void add_foreign(struct injection *in, const char *list, size_t index, const char *field)
{
    char path[64];

    snprintf(path, sizeof path, "spec.%s[%zu]", list, index);
    problems_add(&in->problems, path,
                 "this is not what gitgate injects (\"%.63s\" differs): remove it from the pod's "
                 "template, or rename it",
                 field);
}

static void patch_volumes(struct injection *in)
{
    json_auto_t *ours = parts_volumes(&in->gate->spec);
    const json_t *theirs = json_object_get(in->spec, "volumes");
    struct growing volumes = growing(in, theirs, "/spec/volumes");
    const char *field = "";
    json_t *volume;
    size_t i, at;

    if (!ours)
        in->patch.err = -ENOMEM;
    json_array_foreach(ours, i, volume)
    {
        const json_t *present = find(theirs, "name", name_of(volume), &at);

        if (!present)
            grow(&volumes, json_incref(volume));
        else if (parts_same_volume(volume, present, &field))
            continue;
        else if (in->outdated)
            patch_replace(&in->patch, pointer_index(&volumes.at, at), json_incref(volume));
        else
            add_foreign(in, "volumes", at, field);
    }
}

/* They come first, in our order. `model` is the list as the operations so far have made it. */
static void patch_init_container(struct injection *in, json_t *model, size_t place, json_t *ours)
{
    struct pointer list = pointer_to("/spec/initContainers");
    struct pointer here = pointer_index(&list, place);
    size_t at;
    const json_t *present = find(model, "name", name_of(ours), &at);
    const char *field = "";

    if (!present) {
        patch_add(&in->patch, here, json_incref(ours));
        json_array_insert(model, place, ours);
        return;
    }
    if (!parts_same_container(ours, present, &field)) {
        if (!in->outdated) {
            add_foreign(in, "initContainers", at, field);
            return;
        }
        patch_replace(&in->patch, pointer_index(&list, at), json_incref(ours));
    }
    if (at != place) {
        patch_move(&in->patch, pointer_index(&list, at), here);
        json_array_insert(model, place, (json_t *)present);
        json_array_remove(model, at + (at >= place));
    }
}

static void patch_init_containers(struct injection *in)
{
    json_auto_t *ours = parts_init_containers(&in->gate->spec, in->options->image);
    const json_t *theirs = json_object_get(in->spec, "initContainers");
    json_auto_t *model = json_is_array(theirs) ? json_copy((json_t *)theirs) : NULL;
    json_t *container;
    size_t i;

    if (!ours || (json_is_array(theirs) && !model)) {
        in->patch.err = -ENOMEM;
        return;
    }
    if (!model) {
        patch_add(&in->patch, pointer_to("/spec/initContainers"), json_incref(ours));
        return;
    }
    json_array_foreach(ours, i, container) patch_init_container(in, model, i, container);
}

static void patch_pull_secrets(struct injection *in)
{
    const json_t *theirs = json_object_get(in->spec, "imagePullSecrets");
    struct growing secrets = growing(in, theirs, "/spec/imagePullSecrets");
    json_t *secret;
    size_t i, at;

    json_array_foreach(in->gate->spec.image_pull_secrets, i, secret)
    {
        if (!find(theirs, "name", name_of(secret), &at))
            grow(&secrets, json_incref(secret));
    }
}

static bool has_text(const json_t *list, const char *text)
{
    const json_t *element;
    size_t i;

    json_array_foreach(list, i, element)
    {
        if (json_is_string(element) && strcmp(json_string_value(element), text) == 0)
            return true;
    }
    return false;
}

/* What the pod's own aliases say of `host`: its address, or NULL. */
static const char *alias_of(const json_t *aliases, const char *host)
{
    const json_t *alias;
    size_t i;

    json_array_foreach(aliases, i, alias)
    {
        if (has_text(json_object_get(alias, "hostnames"), host))
            return json_string_value(json_object_get(alias, "ip"));
    }
    return NULL;
}

/* `ip` is the list's key in the API: a name joins the entry of its address, in the pod or among the
 * new ones. */
static void add_alias(struct injection *in, const json_t *theirs, json_t *added, const char *host,
                      const char *ip)
{
    const char *present = alias_of(theirs, host);
    size_t at;

    if (present && strcmp(present, ip) == 0)
        return;
    if (present) {
        problems_add(
            &in->problems, "spec.hostAliases",
            "\"%.253s\" is %.64s here and %s in GitGate \"%s\": the pod has one /etc/hosts; "
            "remove one of them",
            host, present, ip, in->gate->name);
        return;
    }
    if (find(added, "ip", ip, &at)) {
        json_array_append_new(json_object_get(json_array_get(added, at), "hostnames"),
                              json_string(host));
    } else if (find(theirs, "ip", ip, &at)) {
        struct pointer list = pointer_to("/spec/hostAliases"), entry = pointer_index(&list, at);
        struct growing names = {
            &in->patch, pointer_member(&entry, "hostnames"),
            json_is_array(json_object_get(json_array_get(theirs, at), "hostnames"))};

        grow(&names, json_string(host));
    } else if (json_array_append_new(added,
                                     json_pack("{s:s, s:[s]}", "ip", ip, "hostnames", host)) < 0) {
        in->patch.err = -ENOMEM;
    }
}

static void patch_host_aliases(struct injection *in)
{
    const json_t *theirs = json_object_get(in->spec, "hostAliases");
    struct growing aliases = growing(in, theirs, "/spec/hostAliases");
    json_auto_t *added = json_array();
    cleanup_free struct extra_host *hosts = NULL;
    int n = gitgate_extra_hosts(&in->gate->spec, &hosts, NULL);
    json_t *alias;
    size_t i;

    if (n < 0) {
        in->patch.err = n;
        return;
    }
    add_alias(in, theirs, added, GITGATE_HOSTNAME, "127.0.0.1");
    for (int h = 0; h < n; h++)
        add_alias(in, theirs, added, hosts[h].host, hosts[h].ip);
    json_array_foreach(added, i, alias) grow(&aliases, json_incref(alias));
}

/* A label or an annotation: its map is made when it isn't there. */
static void patch_mark(struct injection *in, const char *map, const char *key, const char *value)
{
    struct pointer metadata = pointer_to("/metadata"), at = pointer_member(&metadata, map);
    const json_t *theirs = json_object_get(json_object_get(in->pod, "metadata"), map);
    const char *present = json_string_value(json_object_get(theirs, key));

    if (present && strcmp(present, value) == 0)
        return;
    if (json_is_object(theirs))
        patch_add(&in->patch, pointer_member(&at, key), json_string(value));
    else
        patch_add(&in->patch, at, json_pack("{s:s}", key, value));
}

static void treat_container(const struct container *container, void *data)
{
    struct injection *in = data;

    guard_container(container, &in->gate->spec, &in->problems);
    agent_container(container, &in->gate->spec, &in->patch, &in->problems);
}

/* A running pod takes nothing but new ephemeral containers. */
static void treat_new_ephemeral(const struct container *container, void *data)
{
    struct injection *in = data;
    const json_t *old = json_object_get(json_object_get(in->old_pod, "spec"), container->list);
    size_t at;

    if (strcmp(container->list, "ephemeralContainers") == 0 &&
        !find(old, "name", container->name, &at))
        treat_container(container, data);
}

static bool is_outdated(const json_t *pod, const struct gate *gate)
{
    const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
    const char *version =
        json_string_value(json_object_get(annotations, GITGATE_ANNOTATION_VERSION));

    return version && strcmp(version, gate->version.text) != 0;
}

/* The containers' operations stand before those that shift their places. */
static void inject_pod(struct injection *in)
{
    guard_pod(in->pod, &in->gate->spec, &in->problems);
    pod_other_containers(in->pod, &in->gate->spec, treat_container, in);
    patch_init_containers(in);
    patch_volumes(in);
    patch_host_aliases(in);
    patch_pull_secrets(in);
    patch_mark(in, "labels", GITGATE_LABEL_GATE, in->gate->name);
    patch_mark(in, "annotations", GITGATE_ANNOTATION_VERSION, in->gate->version.text);
}

static void decide(struct injection *in, struct decision *ret)
{
    if (in->patch.err) {
        ret->err = in->patch.err;
        return;
    }
    if (in->problems.total == 0) {
        ret->allowed = true;
        ret->patch = patch_take(&in->patch);
        return;
    }
    buf_addf(&ret->reason, "GitGate \"%s\" can't take this pod: ", in->gate->name);
    for (size_t i = 0; i < in->problems.n && !buf_error(&ret->reason); i++)
        buf_addf(&ret->reason, "%s%s: %s", i ? "; " : "", in->problems.list[i].path,
                 in->problems.list[i].message);
}

void inject(const struct review *review, struct gate_list gates,
            const struct inject_options *options, struct decision *ret)
{
    struct injection in = {.pod = review->object,
                           .spec = json_object_get(review->object, "spec"),
                           .old_pod = review->old_object,
                           .options = options};
    bool create = strcmp(review->operation, "CREATE") == 0;
    enum selection selection;

    if (strcmp(review->kind, "Pod") != 0 || !json_is_object(in.spec)) {
        buf_adds(&ret->reason, "only pods can be injected: correct the webhook's rules");
        return;
    }
    /* A running pod has the gate that its label names, or none. */
    selection = select_gate(in.pod, review->namespace_, create && options->namespace_enabled, gates,
                            &in.gate, &ret->reason);
    ret->allowed = selection == SELECT_NONE;
    ret->missing = selection == SELECT_MISSING;
    if (ret->missing)
        ret->gate = pod_gate_label(in.pod);
    if (selection != SELECT_GATE)
        return;
    ret->gate = in.gate->name;
    in.outdated = is_outdated(in.pod, in.gate);
    patch_init(&in.patch);
    if (create)
        inject_pod(&in);
    else
        pod_other_containers(in.pod, &in.gate->spec, treat_new_ephemeral, &in);
    decide(&in, ret);
    problems_done(&in.problems);
    patch_done(&in.patch);
}
