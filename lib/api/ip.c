#include "api/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

/* Behind each other: the IPv4 ones, those of IPv6, and how NAT64 is asked for the IPv4 ones and for
 * its own loopback. */
// clang-format off
const char *const ip_never[] = {
    "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32",
    "fe80::/10", "fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128",
    "fd00:42::42/128", "fd00:100::100:200/128",
    "64:ff9b::a9fe:0/112", "64:ff9b::6464:64c8/128", "64:ff9b::a83f:8110/128", "64:ff9b::7f00:0/104",
    NULL};
// clang-format on

static bool is_mapped(const struct ip *ip)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

    return ip->family == AF_INET6 && memcmp(ip->bytes, prefix, sizeof prefix) == 0;
}

int ip_parse(const char *text, struct ip *ret)
{
    struct ip ip = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};

    if (inet_pton(ip.family, text, ip.bytes) != 1)
        return -EINVAL;
    if (is_mapped(&ip)) {
        ip.family = AF_INET;
        memmove(ip.bytes, ip.bytes + 12, 4);
        memset(ip.bytes + 4, 0, 12);
    }
    *ret = ip;
    return 0;
}

void ip_print(const struct ip *ip, char to[IP_TEXT_MAX])
{
    inet_ntop(ip->family, ip->bytes, to, IP_TEXT_MAX);
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool bit(const struct ip *ip, unsigned i)
{
    return ip->bytes[i / 8] & (0x80 >> i % 8);
}

int cidr_parse(const char *text, struct cidr *ret)
{
    const char *slash = strchr(text, '/');
    char address[IP_TEXT_MAX];
    struct cidr cidr;
    uint64_t prefix;

    if (!slash || (size_t)(slash - text) >= sizeof address)
        return -EINVAL;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    /* A mapped address would count its prefix from another start: say it as IPv4. */
    if (ip_parse(address, &cidr.ip) < 0 || (strchr(address, ':') && cidr.ip.family == AF_INET) ||
        parse_u64(slash + 1, ip_bits(&cidr.ip), &prefix) < 0)
        return -EINVAL;
    for (unsigned i = (unsigned)prefix; i < ip_bits(&cidr.ip); i++)
        if (bit(&cidr.ip, i))
            return -EINVAL;
    cidr.prefix = (unsigned)prefix;
    *ret = cidr;
    return 0;
}

bool cidr_contains(const struct cidr *range, const struct ip *ip)
{
    if (range->ip.family != ip->family)
        return false;
    for (unsigned i = 0; i < range->prefix; i++)
        if (bit(&range->ip, i) != bit(ip, i))
            return false;
    return true;
}

bool cidr_is_never(const struct cidr *inner)
{
    for (size_t i = 0; ip_never[i]; i++) {
        struct cidr range;

        if (cidr_parse(ip_never[i], &range) == 0 && range.prefix <= inner->prefix &&
            cidr_contains(&range, &inner->ip))
            return true;
    }
    return false;
}

bool ip_is_never(const struct ip *ip)
{
    return cidr_is_never(&(struct cidr){.ip = *ip, .prefix = ip_bits(ip)});
}
