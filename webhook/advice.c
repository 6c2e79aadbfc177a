#include "advice.h"

#include <string.h>

#include "api/ip.h"
#include "base/buf.h"
#include "base/text.h"

#define NAMES_MAX 400 /* bytes of upstreams' names in one warning */

/* Every branch: '*' matches any run of characters, slashes too. */
static bool is_every_branch(const char *pattern)
{
    static const char heads[] = "refs/heads/";
    const char *rest = pattern + sizeof heads - 1;

    return strncmp(pattern, heads, sizeof heads - 1) == 0 && *rest &&
           strspn(rest, "*") == strlen(rest);
}

static bool takes_every_branch(const struct upstream *upstream)
{
    for (size_t i = 0; upstream->push.allow && upstream->push.refs[i]; i++)
        if (is_every_branch(upstream->push.refs[i]))
            return true;
    return false;
}

static bool takes_it_back(const struct upstream *upstream)
{
    return upstream->push.allow && upstream->push.allow_force && upstream->push.allow_delete;
}

static bool is_service(const struct upstream *upstream)
{
    return text_ends(upstream->url.host, ".svc") ||
           text_ends(upstream->url.host, ".svc.cluster.local");
}

/* The upstreams of which `is` holds, in one warning: `before` "a", "b" `after`. */
static void advise_of(const struct gitgate *gate, bool (*is)(const struct upstream *upstream),
                      const char *before, const char *after, struct problems *warnings)
{
    cleanup_buf struct buf names = BUF_INIT(NAMES_MAX);

    for (size_t i = 0; i < gate->n_upstreams; i++)
        if (is(&gate->upstreams[i]))
            buf_addf(&names, "%s\"%s\"", names.len ? ", " : "", gate->upstreams[i].name);
    if (names.len > 0)
        problems_add(warnings, "spec.upstreams", "%s %s%s%s", before, names.data,
                     buf_error(&names) ? " and others" : "", after);
}

static bool lets_agents_anywhere(const struct gitgate *gate)
{
    json_t *rule;
    size_t i;

    json_array_foreach(gate->agent_egress, i, rule) {
        const char *text = json_string_value(json_object_get(rule, "cidr"));
        struct cidr cidr;

        if (text && cidr_parse(text, &cidr) == 0 && cidr.prefix == 0)
            return true;
    }
    return false;
}

static void advise_network(const struct gitgate *gate, struct problems *warnings)
{
    if (lets_agents_anywhere(gate))
        problems_add(warnings, "spec.network.agentEgress.to",
                     "agents may reach every address: what no push would let out they can send "
                     "there, unscanned");
    /* A Service's address has become a pod's where most network plugins look. */
    if (gate->network_managed)
        advise_of(gate, is_service,
                  "NetworkPolicies see the pods behind a Service and not its address: unless it is "
                  "headless, add one that lets this gate's pods reach those of",
                  "", warnings);
    if (!gate->isolation_nftables && !gate->network_managed)
        problems_add(warnings, "spec.network",
                     "with policy None and isolation None nothing that gitgate makes keeps agents "
                     "from reaching the network without the gate");
}

static const struct node *condition(const struct node *object, const char *type)
{
    const struct node *conditions = node_get(node_get(object, "status"), "conditions"), *one;

    node_each(conditions, one)
    {
        if (node_is_text(node_get(one, "type"), type))
            return one;
    }
    return NULL;
}

static void advise_secrets(const struct node *old, struct problems *warnings)
{
    const struct node *resolved = condition(old, "CredentialsResolved");
    const char *message = node_string(node_get(resolved, "message"));

    if (message && node_is_text(node_get(resolved, "status"), "False"))
        problems_add(warnings, "spec.upstreams",
                     "before this change credentials were not resolved: %s", message);
}

void advise(const struct gitgate *gate, const struct node *old, struct problems *warnings)
{
    advise_of(gate, takes_every_branch, "agents may push every branch of",
              ", also the default branch: to narrow it set push.refs, as in "
              "\"refs/heads/agent/$(POD_NAME)/*\"",
              warnings);
    advise_of(gate, takes_it_back, "agents may force and delete refs of",
              " (never the default branch)", warnings);
    advise_network(gate, warnings);
    advise_secrets(old, warnings);
}
