#include "api/gitgate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/checks.h"
#include "api/ip.h"
#include "api/validate.h"
#include "base/cleanup.h"
#include "data/decode.h"

#define IN_GATE(member) FIELD_AT(struct gitgate, member)
#define IN_UPSTREAM(member) FIELD_AT(struct upstream, member)

#define KEYS_MAX 16        /* host keys of one upstream: three types, each twice in a rotation */
#define PATTERNS_MAX 64    /* of push.refs, each matched against each ref of a push */
#define EXTRA_HOSTS_MAX 32 /* of one upstream: lines in /etc/hosts */
#define RULES_MAX 500      /* twice gitleaks' own */
#define EGRESS_MAX 64      /* rules of one NetworkPolicy that a person still reads */
#define REGEX_MAX 2048
#define KEYWORDS_MAX 64 /* of one rule, where a word or two are usual */
/* Of a label selector: more than anybody writes, and so little that a namespace's GitGates fill
 * nobody's memory: the smallest value is three bytes in etcd, and a hundred here. */
#define SELECTOR_MAX 64
#define TIMEOUT_MIN_MS 1000    /* gitleaks alone takes 50 ms to start */
#define TIMEOUT_MAX_MS 3600000 /* a push that waits for longer is a broken push */
#define PUSH_MIN_BYTES 1024
#define PUSH_MAX_BYTES (64ull << 30)
#define REPLICAS_MAX 16

/* Both words in the order false, true. */
static const char *const deny_allow[] = {"Deny", "Allow", NULL};
static const char *const none_managed[] = {"None", "Managed", NULL};
static const char *const none_nftables[] = {"None", "Nftables", NULL};
static const char *const placements[] = {"Sidecar", "Gateway", NULL};
static const char *const kinds[] = {GITGATE_KIND, NULL};
static const char *const api_versions[] = {GITGATE_API_VERSION, NULL};
static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};

/* ---- upstreams ---- */

static const struct field secret_ref_fields[] = {
    FIELD("name", STRING, IN_UPSTREAM(secret), .flags = FIELD_REQUIRED,
          .check = check_source_secret),
    FIELD_END,
};

static const struct field ssh_fields[] = {
    FIELD("secretRef", OBJECT, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .fields = secret_ref_fields),
    FIELD("knownHostKeys", STRINGS, IN_UPSTREAM(known_host_keys), .value = "[]", .max = KEYS_MAX,
          .check = check_known_host_key),
    FIELD_END,
};

static const struct field ca_ref_fields[] = {
    FIELD("name", STRING, IN_UPSTREAM(ca_config_map), .flags = FIELD_REQUIRED,
          .check = check_object_name),
    FIELD("key", STRING, IN_UPSTREAM(ca_key), .value = "\"ca.crt\"", .check = check_data_key),
    FIELD_END,
};

static const struct field ca_bundle_fields[] = {
    FIELD("configMapRef", OBJECT, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .fields = ca_ref_fields),
    FIELD_END,
};

static const struct field http_fields[] = {
    FIELD("secretRef", OBJECT, FIELD_NOWHERE, .fields = secret_ref_fields),
    FIELD("caBundle", OBJECT, FIELD_NOWHERE, .fields = ca_bundle_fields),
    FIELD_END,
};

static const struct field fetch_fields[] = {
    FIELD("policy", SWITCH, IN_UPSTREAM(fetch_allow), .value = "\"Allow\"", .choices = deny_allow),
    FIELD_END,
};

static const struct field push_fields[] = {
    FIELD("policy", SWITCH, IN_UPSTREAM(push.allow), .value = "\"Allow\"", .choices = deny_allow),
    FIELD("refs", STRINGS, IN_UPSTREAM(push.refs), .value = "[\"refs/heads/*\", \"refs/tags/*\"]",
          .min = 1, .max = PATTERNS_MAX, .check = check_ref_pattern),
    FIELD("allowForce", BOOL, IN_UPSTREAM(push.allow_force), .value = "false"),
    FIELD("allowDelete", BOOL, IN_UPSTREAM(push.allow_delete), .value = "false"),
    FIELD("options", STRINGS, IN_UPSTREAM(push.options), .max = PATTERNS_MAX,
          .check = check_option_pattern),
    FIELD_END,
};

static const struct field upstream_fields[] = {
    FIELD("name", STRING, IN_UPSTREAM(name), .flags = FIELD_REQUIRED, .check = check_upstream_name),
    FIELD("url", STRING, IN_UPSTREAM(url_text), .flags = FIELD_REQUIRED, .max = URL_MAX),
    FIELD("ssh", OBJECT, FIELD_NOWHERE, .fields = ssh_fields),
    FIELD("http", OBJECT, FIELD_NOWHERE, .fields = http_fields),
    FIELD("extraHosts", MAP, FIELD_NOWHERE, .max = EXTRA_HOSTS_MAX, .check = check_ip,
          .check_key = check_extra_host),
    FIELD("fetch", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = fetch_fields),
    FIELD("push", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = push_fields),
    FIELD_END,
};

/* ---- scan ---- */

static const struct field rule_fields[] = {
    FIELD("id", STRING, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .check = check_rule_id),
    FIELD("description", STRING, FIELD_NOWHERE, .flags = FIELD_QUOTES),
    FIELD("regex", STRING, FIELD_NOWHERE, .flags = FIELD_REQUIRED | FIELD_QUOTES, .max = REGEX_MAX),
    FIELD("keywords", STRINGS, FIELD_NOWHERE, .flags = FIELD_QUOTES, .max = KEYWORDS_MAX),
    FIELD_END,
};

static const struct field allow_fields[] = {
    FIELD("rule", STRING, FIELD_NOWHERE, .check = check_rule_id),
    FIELD("path", STRING, FIELD_NOWHERE, .flags = FIELD_QUOTES, .max = REGEX_MAX),
    FIELD("fingerprint", STRING, FIELD_NOWHERE, .check = check_fingerprint),
    FIELD_END,
};

static const struct field scan_ref_fields[] = {
    FIELD("name", STRING, IN_GATE(scan.config_map), .flags = FIELD_REQUIRED,
          .check = check_object_name),
    FIELD("key", STRING, IN_GATE(scan.config_key), .value = "\"gitleaks.toml\"",
          .check = check_data_key),
    FIELD_END,
};

static const struct field scan_fields[] = {
    FIELD("rules", ARRAY, IN_GATE(scan.rules), .max = RULES_MAX, .fields = rule_fields),
    FIELD("allow", ARRAY, IN_GATE(scan.allow), .max = RULES_MAX, .fields = allow_fields),
    FIELD("configMapRef", OBJECT, FIELD_NOWHERE, .fields = scan_ref_fields),
    FIELD("timeout", DURATION, IN_GATE(scan.timeout_ms), .value = "\"120s\"", .min = TIMEOUT_MIN_MS,
          .max = TIMEOUT_MAX_MS),
    FIELD("maxPushSize", BYTES, IN_GATE(scan.max_push_size), .value = "\"512Mi\"",
          .min = PUSH_MIN_BYTES, .max = PUSH_MAX_BYTES),
    FIELD_END,
};

/* ---- network ---- */

static const struct field port_fields[] = {
    FIELD("port", INTEGER, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .min = 1, .max = UINT16_MAX),
    FIELD("endPort", INTEGER, FIELD_NOWHERE, .min = 1, .max = UINT16_MAX),
    FIELD("protocol", CHOICE, FIELD_NOWHERE, .value = "\"TCP\"", .choices = protocols),
    FIELD_END,
};

static const struct field egress_fields[] = {
    FIELD("cidr", STRING, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .check = check_cidr),
    FIELD("ports", ARRAY, FIELD_NOWHERE, .max = EGRESS_MAX, .fields = port_fields),
    FIELD_END,
};

static const struct field agent_egress_fields[] = {
    FIELD("dns", BOOL, IN_GATE(agent_dns), .value = "false"),
    FIELD("to", ARRAY, IN_GATE(agent_egress), .max = EGRESS_MAX, .fields = egress_fields),
    FIELD_END,
};

static const struct field network_fields[] = {
    FIELD("policy", SWITCH, IN_GATE(network_managed), .value = "\"Managed\"",
          .choices = none_managed),
    FIELD("isolation", SWITCH, IN_GATE(isolation_nftables), .value = "\"Nftables\"",
          .choices = none_nftables),
    FIELD("agentEgress", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = agent_egress_fields),
    FIELD_END,
};

/* ---- the gate's container ---- */

static const struct field pull_secret_fields[] = {
    FIELD("name", STRING, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .check = check_object_name),
    FIELD_END,
};

static const struct field cache_fields[] = {
    FIELD("sizeLimit", QUANTITY, IN_GATE(cache_size_limit), .value = "\"2Gi\""),
    FIELD_END,
};

static const struct field gate_fields[] = {
    FIELD("image", STRING, IN_GATE(image), .flags = FIELD_MAY_BE_EMPTY, .value = "\"\"",
          .check = check_image),
    FIELD("imagePullSecrets", ARRAY, IN_GATE(image_pull_secrets), .max = EXTRA_HOSTS_MAX,
          .fields = pull_secret_fields),
    FIELD("resources", OBJECT, IN_GATE(resources)),
    FIELD("cache", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = cache_fields),
    FIELD("replicas", INTEGER, FIELD_NOWHERE, .value = "1", .min = 1, .max = REPLICAS_MAX),
    FIELD_END,
};

/* ---- the object ---- */

static const struct field expression_fields[] = {
    FIELD("key", STRING, FIELD_NOWHERE, .flags = FIELD_REQUIRED),
    FIELD("operator", CHOICE, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .choices = operators),
    FIELD("values", STRINGS, FIELD_NOWHERE, .flags = FIELD_MAY_BE_EMPTY, .max = SELECTOR_MAX),
    FIELD_END,
};

static const struct field selector_fields[] = {
    FIELD("matchLabels", MAP, FIELD_NOWHERE, .flags = FIELD_MAY_BE_EMPTY, .max = SELECTOR_MAX),
    FIELD("matchExpressions", ARRAY, FIELD_NOWHERE, .max = SELECTOR_MAX,
          .fields = expression_fields),
    FIELD_END,
};

static const struct field metadata_fields[] = {
    FIELD("name", STRING, IN_GATE(name), .flags = FIELD_REQUIRED, .check = check_gate_name),
    FIELD("namespace", STRING, IN_GATE(namespace_), .flags = FIELD_MAY_BE_EMPTY, .value = "\"\"",
          .check = check_namespace),
    FIELD("uid", STRING, IN_GATE(uid), .flags = FIELD_MAY_BE_EMPTY, .value = "\"\""),
    FIELD("generation", INTEGER, IN_GATE(generation), .value = "0"),
    FIELD_END,
};

static const struct field spec_fields[] = {
    FIELD("podSelector", OBJECT, IN_GATE(pod_selector), .fields = selector_fields),
    FIELD("placement", CHOICE, IN_GATE(placement), .value = "\"Sidecar\"", .choices = placements),
    FIELD("upstreams", ARRAY, IN_GATE(upstreams), .flags = FIELD_REQUIRED,
          .fields = upstream_fields, .min = 1, .max = GITGATE_UPSTREAMS_MAX,
          .item_size = sizeof(struct upstream), .count_offset = IN_GATE(n_upstreams)),
    FIELD("scan", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = scan_fields),
    FIELD("network", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = network_fields),
    FIELD("gate", OBJECT, FIELD_NOWHERE, .value = "{}", .fields = gate_fields),
    FIELD_END,
};

static const struct field gitgate_fields[] = {
    FIELD("apiVersion", CHOICE, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .choices = api_versions),
    FIELD("kind", CHOICE, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .choices = kinds),
    FIELD("metadata", OBJECT, FIELD_NOWHERE, .flags = FIELD_REQUIRED | FIELD_OPEN,
          .fields = metadata_fields),
    FIELD("spec", OBJECT, FIELD_NOWHERE, .flags = FIELD_REQUIRED, .fields = spec_fields),
    FIELD("status", OBJECT, FIELD_NOWHERE),
    FIELD_END,
};

void gitgate_done(struct gitgate *gate)
{
    for (size_t i = 0; i < gate->n_upstreams; i++) {
        free(gate->upstreams[i].known_host_keys);
        free(gate->upstreams[i].push.refs);
        free(gate->upstreams[i].push.options);
        free(gate->upstreams[i].extra_hosts);
    }
    free(gate->upstreams);
    json_decref(gate->source);
    *gate = (struct gitgate){0};
}

/* An anonymous upstream's list of host keys is empty, not NULL. */
static int complete_upstream(struct upstream *upstream, const json_t *object)
{
    json_t *hosts = json_object_get(object, "extraHosts"), *ip;
    const char *host;

    if (!upstream->known_host_keys) {
        upstream->known_host_keys = calloc(1, sizeof *upstream->known_host_keys);
        if (!upstream->known_host_keys)
            return -ENOMEM;
    }
    if (json_object_size(hosts) == 0)
        return 0;
    upstream->extra_hosts = calloc(json_object_size(hosts), sizeof *upstream->extra_hosts);
    if (!upstream->extra_hosts)
        return -ENOMEM;
    json_object_foreach(hosts, host, ip) {
        if (json_is_string(ip))
            upstream->extra_hosts[upstream->n_extra_hosts++] =
                (struct extra_host){.host = host, .ip = json_string_value(ip)};
    }
    return 0;
}

static int complete(struct gitgate *gate)
{
    json_t *list = json_object_get(json_object_get(gate->source, "spec"), "upstreams");

    for (size_t i = 0; i < gate->n_upstreams; i++) {
        int r = complete_upstream(&gate->upstreams[i], json_array_get(list, i));

        if (r < 0)
            return r;
    }
    return 0;
}

int gitgate_decode(const json_t *object, bool strict, struct gitgate *ret,
                   struct problems *problems)
{
    cleanup_gitgate struct gitgate gate = {.source = json_deep_copy(object)};
    size_t before = problems->total;
    int r;

    if (!gate.source)
        return -ENOMEM;
    r = decode_object(gate.source, gitgate_fields, strict, &gate, problems);
    if (r == -ENOMEM)
        return r;
    r = complete(&gate);
    if (r < 0)
        return r;
    gitgate_validate(&gate, problems);
    if (problems->total > before)
        return -EINVAL;
    *ret = gate;
    gate = (struct gitgate){0};
    return 0;
}

const struct upstream *gitgate_upstream(const struct gitgate *gate, const char *name)
{
    for (size_t i = 0; i < gate->n_upstreams; i++)
        if (strcmp(gate->upstreams[i].name, name) == 0)
            return &gate->upstreams[i];
    return NULL;
}

const char *gitgate_extra_ip(const struct gitgate *gate, const char *host)
{
    for (size_t i = 0; i < gate->n_upstreams; i++)
        for (size_t j = 0; j < gate->upstreams[i].n_extra_hosts; j++)
            if (strcmp(gate->upstreams[i].extra_hosts[j].host, host) == 0)
                return gate->upstreams[i].extra_hosts[j].ip;
    return NULL;
}

/* Each host once, the first of them: 0, or -ENOMEM. */
static int add_extra_hosts(const struct upstream *upstream, json_t *seen, struct extra_host *list,
                           size_t *n)
{
    for (size_t i = 0; i < upstream->n_extra_hosts; i++) {
        const struct extra_host *host = &upstream->extra_hosts[i];

        if (json_object_get(seen, host->host))
            continue;
        if (json_object_set_new(seen, host->host, json_true()) < 0)
            return -ENOMEM;
        list[(*n)++] = *host;
    }
    return 0;
}

int gitgate_extra_hosts(const struct gitgate *gate, struct extra_host **ret, struct error *err)
{
    cleanup_free struct extra_host *list = NULL;
    json_auto_t *seen = json_object();
    size_t n = 0, max = 1;
    int r = 0;

    for (size_t i = 0; i < gate->n_upstreams; i++)
        max += gate->upstreams[i].n_extra_hosts;
    list = calloc(max, sizeof *list);
    if (!list || !seen)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < gate->n_upstreams; i++)
        r = add_extra_hosts(&gate->upstreams[i], seen, list, &n);
    if (r < 0)
        return error_errno(err, r, "cannot list the extra hosts of %s", gate->name);
    *ret = TAKE_PTR(list);
    return (int)n;
}
