#include "sources.h"

#include <inttypes.h>
#include <string.h>

#define DIGEST_INPUT_MAX (256u << 10)

static void add_source(struct sources *sources, const struct kube_resource *resource,
                       const char *name)
{
    if (!name || sources->n == SOURCES_MAX)
        return;
    for (size_t i = 0; i < sources->n; i++)
        if (sources->list[i].resource == resource && strcmp(sources->list[i].name, name) == 0)
            return;
    sources->list[sources->n++] = (struct source){.resource = resource, .name = name};
}

void sources_of(const struct gitgate *gate, struct sources *ret)
{
    ret->n = 0;
    add_source(ret, &kube_config_maps, gate->scan.config_map);
    for (size_t i = 0; i < gate->n_upstreams; i++) {
        add_source(ret, &kube_secrets, gate->upstreams[i].secret);
        add_source(ret, &kube_config_maps, gate->upstreams[i].ca_config_map);
    }
}

static void add_version(struct buf *text, const struct source *source)
{
    char uid[UID_TEXT_SIZE];

    uid_print(&source->uid, uid);
    if (source->there)
        buf_addf(text, "%s/%" PRIu64 "\n", uid, source->version);
    else
        buf_adds(text, "absent\n");
}

struct digest sources_digest(const struct gitgate *gate, const struct sources *sources)
{
    cleanup_buf struct buf text = BUF_INIT(DIGEST_INPUT_MAX);

    /* Another release may make another Secret from the same. */
    buf_addf(&text, "%s\n%s\n%" PRIu64 "\n", GITGATE_VERSION, gate->uid, gate->generation);
    for (size_t i = 0; i < sources->n; i++) {
        buf_addf(&text, "%s %s ", sources->list[i].resource->plural, sources->list[i].name);
        add_version(&text, &sources->list[i]);
    }
    return buf_error(&text) ? (struct digest){0} : digest_of(text.data, text.len);
}
