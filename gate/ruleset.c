#include "ruleset.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TABLE "inet gitgate"
#define GATE_MATCH_MAX 64
#define REJECT "reject with icmpx type admin-prohibited"
#define DNS_PORT 53

/* To whoever began. Not all that is "established": an agent that binds a port which the gate has
 * just asked the name server from would go on with the gate's exchange. */
#define REPLIES "ct state established ct direction reply accept\n\t\tct state related accept\n"

/* Of a socket that a process has (no user is 2^32 - 1) ... */
#define OWNED "meta skuid != 4294967295 "

/* ... and what the kernel has yet to send, or to acknowledge, of the gate's connections that were
 * closed: nobody begins one so. */
#define LEFT "ct state established tcp flags & syn == 0 accept\n"
#define ADDRESS_CHARS "0123456789abcdefABCDEF.:"

size_t nameservers_parse(const char *text, struct ip to[NAMESERVERS_MAX])
{
    static const char key[] = "nameserver";
    size_t n = 0;

    for (const char *line = text, *end; *line && n < NAMESERVERS_MAX; line = *end ? end + 1 : end) {
        char address[IP_TEXT_MAX];
        size_t len;

        end = line + strcspn(line, "\n");
        if (strncmp(line, key, sizeof key - 1) != 0)
            continue;
        line += sizeof key - 1;
        line += strspn(line, " \t");
        len = strspn(line, ADDRESS_CHARS); /* a zone behind ("%eth0") is not the address */
        if (len == 0 || len >= sizeof address)
            continue;
        memcpy(address, line, len);
        address[len] = '\0';
        n += ip_parse(address, &to[n]) == 0;
    }
    return n;
}

static const char *family(int of)
{
    return of == AF_INET ? "ip" : "ip6";
}

/* `who` is a match in front of the rule, or "". */
static void add_nameservers(struct buf *to, const char *who, const struct ip *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[IP_TEXT_MAX];

        ip_print(&list[i], text);
        buf_addf(to, "\t\t%smeta l4proto { tcp, udp } %s daddr %s th dport %d accept\n", who,
                 family(list[i].family), text, DNS_PORT);
    }
}

static void add_never(struct buf *to)
{
    for (const char *const *p = ip_never; *p; p++)
        buf_addf(to, "\t\t%s daddr %s " REJECT "\n", strchr(*p, ':') ? "ip6" : "ip", *p);
}

static const char *nft_protocol(const json_t *port)
{
    const char *name = json_string_value(json_object_get(port, "protocol"));

    if (name && strcmp(name, "UDP") == 0)
        return "udp";
    return name && strcmp(name, "SCTP") == 0 ? "sctp" : "tcp";
}

static void add_port(struct buf *to, const char *fam, const char *cidr, const json_t *port)
{
    json_int_t first = json_integer_value(json_object_get(port, "port"));
    json_t *last = json_object_get(port, "endPort");

    buf_addf(to, "\t\t%s daddr %s %s dport %d", fam, cidr, nft_protocol(port), (int)first);
    if (json_is_integer(last))
        buf_addf(to, "-%d", (int)json_integer_value(last));
    buf_adds(to, " accept\n");
}

/* The decoder has checked these; checked again, as they become text that nft runs. */
static void add_egress(struct buf *to, const json_t *rule)
{
    const char *text = json_string_value(json_object_get(rule, "cidr"));
    json_t *ports = json_object_get(rule, "ports"), *port;
    char address[IP_TEXT_MAX], range[2 * IP_TEXT_MAX];
    struct cidr cidr;
    size_t i;

    if (!text || cidr_parse(text, &cidr) < 0)
        return;
    ip_print(&cidr.ip, address);
    snprintf(range, sizeof range, "%s/%u", address, cidr.prefix);
    if (json_array_size(ports) == 0)
        buf_addf(to, "\t\t%s daddr %s accept\n", family(cidr.ip.family), range);
    json_array_foreach(ports, i, port)
        add_port(to, family(cidr.ip.family), range, port);
}

void ruleset_add(struct buf *to, const struct gitgate *gate, uint32_t group,
                 const struct ip *nameservers, size_t n_nameservers)
{
    char who[GATE_MATCH_MAX];
    json_t *rule;
    size_t i;

    snprintf(who, sizeof who, "meta skuid %d meta skgid %" PRIu32 " ", GITGATE_UID, group);
    /* Adding first makes the deletion succeed whether the table was there or not. */
    buf_adds(to, "add table " TABLE "\ndelete table " TABLE "\ntable " TABLE " {\n"
                 "\tchain output {\n"
                 "\t\ttype filter hook output priority filter; policy drop;\n"
                 "\t\toifname \"lo\" accept\n"
                 /* Without these IPv6 finds no neighbour; the kernel sends them, nobody else. */
                 "\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, "
                 "mld2-listener-report } accept\n");
    add_nameservers(to, who, nameservers, n_nameservers);
    if (gate->agent_dns)
        add_nameservers(to, "", nameservers, n_nameservers);
    add_never(to);
    buf_addf(to, "\t\t" REPLIES "\t\t%saccept\n", who);
    json_array_foreach(gate->agent_egress, i, rule)
        add_egress(to, rule);
    buf_adds(to, "\t\t" OWNED REJECT "\n\t\t" LEFT "\t\t" REJECT "\n\t}\n"
                 /* What an agent sends to the pod itself may have any source over IPv6
                  * (IPV6_FREEBIND): it must not pass for something that came from there, to which
                  * the agent could reply. */
                 "\tchain untracked {\n"
                 "\t\ttype filter hook output priority raw; policy accept;\n"
                 "\t\toifname \"lo\" notrack\n"
                 "\t}\n"
                 /* A pod is no router. By a segment routing header an agent sends to itself what
                  * the kernel then sends on, where the pod's sysctls have it do so. */
                 "\tchain forward {\n"
                 "\t\ttype filter hook forward priority filter; policy drop;\n"
                 "\t}\n}\n");
}
