/* Addresses and address ranges, as text and as bytes. */
#ifndef GITGATE_API_IP_H
#define GITGATE_API_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct ip {
    int family; /* AF_INET or AF_INET6 */
    unsigned char bytes[16];
};

struct cidr {
    struct ip ip;
    unsigned prefix;
};

/* Room for the text of an address with "/128" behind it. */
#define IP_TEXT_MAX 64

static inline unsigned ip_bits(const struct ip *ip)
{
    return ip->family == AF_INET ? 32 : 128;
}

/* 0 or -EINVAL. An IPv4 address in IPv6 clothes (::ffff:10.0.0.1) is the IPv4 address. */
int ip_parse(const char *text, struct ip *ret);

/* The canonical text: two spellings of an address give the same. */
void ip_print(const struct ip *ip, char to[IP_TEXT_MAX]);
bool ip_equal(const struct ip *a, const struct ip *b);

/* "address/prefix" with no bit set behind the prefix; 0 or -EINVAL. */
int cidr_parse(const char *text, struct cidr *ret);
bool cidr_contains(const struct cidr *range, const struct ip *ip);

/* What no workload may ever reach: the link-local ranges 169.254.0.0/16 (RFC 3927; most clouds'
 * metadata service) and fe80::/10 (RFC 4291), and where else clouds hand out what a node may know:
 * 100.100.100.200 and fd00:100::100:200 (Alibaba Cloud's metadata service), 168.63.129.16 (Azure's
 * WireServer), and over IPv6 the metadata services of EC2 (fd00:ec2::254), Google Cloud
 * (fd20:ce::254), Oracle Cloud (fd00:c1::a9fe:a9fe) and Scaleway (fd00:42::42), and EKS' Pod
 * Identity (fd00:ec2::23). The IPv4 ones also through NAT64's well-known prefix, 64:ff9b::/96 (RFC
 * 6052), which forbids it for addresses that are not global, but not every translator refuses, and
 * 127.0.0.0/8 there. NULL-terminated, canonical. */
extern const char *const ip_never[];
bool ip_is_never(const struct ip *ip);
bool cidr_is_never(const struct cidr *range); /* all of it */

#endif
