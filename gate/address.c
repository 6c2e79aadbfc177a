#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/parse.h"

#define HOST_MAX 64

int address_parse(const char *text, struct sockaddr_storage *ret, struct error *err)
{
    const char *colon = strrchr(text, ':');
    char host[HOST_MAX];
    size_t len = colon ? (size_t)(colon - text) : 0;
    uint64_t port;
    int r;

    if (!colon || len == 0 || len >= sizeof host || parse_u64(colon + 1, UINT16_MAX, &port) < 0)
        return error_set(err, -EINVAL, "\"%s\" is not ADDRESS:PORT", text);
    memset(ret, 0, sizeof *ret);
    if (text[0] == '[' && colon[-1] == ']') {
        snprintf(host, sizeof host, "%.*s", (int)len - 2, text + 1);
        r = uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)ret);
    } else {
        snprintf(host, sizeof host, "%.*s", (int)len, text);
        r = uv_ip4_addr(host, (int)port, (struct sockaddr_in *)ret);
    }
    return r < 0 ? error_set(err, -EINVAL, "\"%s\" is not ADDRESS:PORT", text) : 0;
}
