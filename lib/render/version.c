#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "render/render.h"

/* Raised when injection itself changes, so that pods with the old form count as outdated. */
#define INJECTION_FORMAT 2

static json_t *extra_hosts(const struct gitgate *gate)
{
    cleanup_free struct extra_host *hosts = NULL;
    int n = gitgate_extra_hosts(gate, &hosts, NULL);
    json_t *object = n < 0 ? NULL : json_object();

    for (int i = 0; object && i < n; i++)
        if (json_object_set_new(object, hosts[i].host, json_string(hosts[i].ip)) < 0) {
            json_decref(object);
            return NULL;
        }
    return object;
}

/* What a pod is given once and for all. Upstreams, keys, hooks and the client configuration are
 * mounted and reach it while it runs. */
static json_t *injected(const struct gitgate *gate)
{
    return json_pack("{s:i, s:o, s:s, s:O?, s:O?, s:b, s:b, s:O?, s:s}", "format", INJECTION_FORMAT,
                     "extraHosts", extra_hosts(gate), "image", gate->image, "imagePullSecrets",
                     gate->image_pull_secrets, "resources", gate->resources, "isolation",
                     gate->isolation_nftables, "agentDNS", gate->agent_dns, "agentEgress",
                     gate->agent_egress, "cacheSize", gate->cache_size_limit);
}

struct render_version render_version(const struct gitgate *gate)
{
    struct render_version version = {.text = ""};
    unsigned char digest[EVP_MAX_MD_SIZE];
    json_auto_t *object = injected(gate);
    cleanup_free char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    if (!text || EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        return version;
    for (size_t i = 0; i < (sizeof version.text - 1) / 2; i++)
        snprintf(version.text + 2 * i, 3, "%02x", digest[i]);
    return version;
}
