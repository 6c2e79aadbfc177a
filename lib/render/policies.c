/* The NetworkPolicies of the gated pods. Policies add up: what is listed here is what may pass,
 * unless somebody else's policy allows more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ip.h"
#include "render/object.h"
#include "render/render.h"

#define DNS_PORT 53

static json_t *policy_new(const struct gitgate *gate, enum owned_name which, const char *direction,
                          const char *field, json_t *rules)
{
    return object_with(object_new(gate, "networking.k8s.io/v1", "NetworkPolicy", which), "spec",
                       json_pack("{s:{s:{s:s}}, s:[s], s:o}", "podSelector", "matchLabels",
                                 GITGATE_LABEL_GATE, gate->name, "policyTypes", direction, field,
                                 rules));
}

/* The gate listens on loopback alone. Should that ever fail, its port still is no pod's to reach;
 * all other ports stay as they are, for the workload's own services. A policy can only allow, so
 * it allows what lies around the port. */
json_t *render_policy_internal(const struct gitgate *gate)
{
    return policy_new(gate, NAME_INTERNAL, "Ingress", "ingress",
                      json_pack("[{s:[{s:s, s:i, s:i}, {s:s, s:i, s:i}, {s:s}, {s:s}]}]", "ports",
                                "protocol", "TCP", "port", 1, "endPort", GITGATE_PORT - 1,
                                "protocol", "TCP", "port", GITGATE_PORT + 1, "endPort", UINT16_MAX,
                                "protocol", "UDP", "protocol", "SCTP"));
}

/* ---- names and addresses ---- */

/* The address that needs no resolver: from /etc/hosts, or because the host is one. */
static const char *fixed_ip(const struct gitgate *gate, const struct url *url)
{
    const char *ip = gitgate_extra_ip(gate, url->host);
    struct ip literal;

    if (ip)
        return ip;
    return ip_parse(url->host, &literal) == 0 ? url->host : NULL;
}

static bool needs_dns(const struct gitgate *gate)
{
    if (gate->agent_dns)
        return true;
    for (size_t i = 0; i < gate->n_upstreams; i++)
        if (!fixed_ip(gate, &gate->upstreams[i].url))
            return true;
    return false;
}

/* ---- rules; each is added once ---- */

static int add_rule(json_t *rules, json_t *rule)
{
    json_auto_t *owned = rule;
    json_t *other;
    size_t i;

    if (!owned)
        return -ENOMEM;
    json_array_foreach(rules, i, other) {
        if (json_equal(other, rule))
            return 0;
    }
    return json_array_append(rules, rule) < 0 ? -ENOMEM : 0;
}

/* The cluster's resolver, where kubeadm, kind and the large providers run it. */
static int add_dns(json_t *rules)
{
    return add_rule(rules, json_pack("{s:[{s:{s:{s:s}}, s:{s:{s:s}}}], s:[{s:s,s:i},{s:s,s:i}]}",
                                     "to", "namespaceSelector", "matchLabels",
                                     "kubernetes.io/metadata.name", "kube-system", "podSelector",
                                     "matchLabels", "k8s-app", "kube-dns", "ports", "protocol",
                                     "UDP", "port", DNS_PORT, "protocol", "TCP", "port", DNS_PORT));
}

/* An address that no workload may reach gets no rule, whoever's name server gave it. */
static int add_address(json_t *rules, const char *text, uint16_t port)
{
    char cidr[IP_TEXT_MAX + 8], canonical[IP_TEXT_MAX];
    struct ip ip;

    if (ip_parse(text, &ip) < 0 || ip_is_never(&ip))
        return 0;
    ip_print(&ip, canonical);
    snprintf(cidr, sizeof cidr, "%s/%u", canonical, ip_bits(&ip));
    return add_rule(rules, json_pack("{s:[{s:{s:s}}], s:[{s:s, s:i}]}", "to", "ipBlock", "cidr",
                                     cidr, "ports", "protocol", "TCP", "port", (int)port));
}

static int add_upstream(json_t *rules, const struct gitgate *gate, size_t i,
                        const struct upstream_addresses *addresses)
{
    const struct url *url = &gate->upstreams[i].url;
    const char *fixed = fixed_ip(gate, url);
    int r = 0;

    if (fixed)
        return add_address(rules, fixed, url->port);
    if (!addresses || !addresses[i].ips)
        return 0;
    for (const char *const *ip = addresses[i].ips; r == 0 && *ip; ip++)
        r = add_address(rules, *ip, url->port);
    return r;
}

/* {cidr} with all of ip_never that lies in it as `except`. */
static json_t *ip_block(const char *text)
{
    json_auto_t *except = json_array();
    struct cidr range, never;

    if (!except || cidr_parse(text, &range) < 0)
        return NULL;
    for (size_t i = 0; ip_never[i]; i++)
        if (cidr_parse(ip_never[i], &never) == 0 && cidr_contains(&range, &never.ip) &&
            json_array_append_new(except, json_string(ip_never[i])) < 0)
            return NULL;
    return json_pack("{s:s, s:O*}", "cidr", text, "except",
                     json_array_size(except) > 0 ? except : NULL);
}

static int add_agent_egress(json_t *rules, const json_t *egress)
{
    json_t *ports = json_object_get(egress, "ports");

    /* No ports, or an empty list, are all ports: the same in both languages. */
    return add_rule(rules, json_pack("{s:[{s:o}], s:O*}", "to", "ipBlock",
                                     ip_block(json_string_value(json_object_get(egress, "cidr"))),
                                     "ports", json_array_size(ports) > 0 ? ports : NULL));
}

json_t *render_policy_egress(const struct gitgate *gate, const struct upstream_addresses *addresses)
{
    json_auto_t *rules = json_array();
    json_t *egress;
    size_t i;
    int r = rules ? 0 : -ENOMEM;

    if (r == 0 && needs_dns(gate))
        r = add_dns(rules);
    for (i = 0; r == 0 && i < gate->n_upstreams; i++)
        r = add_upstream(rules, gate, i, addresses);
    json_array_foreach(gate->agent_egress, i, egress) {
        if (r == 0)
            r = add_agent_egress(rules, egress);
    }
    if (r < 0)
        return NULL;
    return policy_new(gate, NAME_EGRESS, "Egress", "egress", json_incref(rules));
}
