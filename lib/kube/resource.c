#include "kube/resource.h"

#include <ctype.h>
#include <string.h>

const struct kube_resource kube_gitgates = {"gitgate.dev", "v1alpha1", "gitgates", "GitGate"};
const struct kube_resource kube_config_maps = {"", "v1", "configmaps", "ConfigMap"};
const struct kube_resource kube_secrets = {"", "v1", "secrets", "Secret"};
const struct kube_resource kube_namespaces = {"", "v1", "namespaces", "Namespace"};
const struct kube_resource kube_network_policies = {"networking.k8s.io", "v1", "networkpolicies",
                                                    "NetworkPolicy"};
const struct kube_resource kube_pods = {"", "v1", "pods", "Pod"};
const struct kube_resource kube_leases = {"coordination.k8s.io", "v1", "leases", "Lease"};
const struct kube_resource kube_events = {"events.k8s.io", "v1", "events", "Event"};

/* Percent-encodes all but RFC 3986's unreserved characters. */
static void encode(const char *text, struct buf *to)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        /* isalnum is bound to a locale; RFC 3986's unreserved characters are ASCII. */
        if (*c < 0x80 && (isalnum(*c) || strchr("-._~", *c)))
            buf_addc(to, (char)*c);
        else
            buf_addf(to, "%%%02X", *c);
    }
}

static void add_segment(struct buf *to, const char *segment)
{
    buf_addc(to, '/');
    encode(segment, to);
}

void kube_path(const struct kube_resource *resource, const char *namespace_, const char *name,
               const char *subresource, struct buf *to)
{
    if (*resource->group) {
        buf_adds(to, "/apis");
        add_segment(to, resource->group);
    } else {
        buf_adds(to, "/api");
    }
    add_segment(to, resource->version);
    if (namespace_) {
        buf_adds(to, "/namespaces");
        add_segment(to, namespace_);
    }
    add_segment(to, resource->plural);
    if (name)
        add_segment(to, name);
    if (subresource)
        add_segment(to, subresource);
}

void kube_query(struct buf *query, const char *key, const char *value)
{
    if (query->len)
        buf_addc(query, '&');
    encode(key, query);
    buf_addc(query, '=');
    encode(value, query);
}
