/* The address of an upstream repository, in the spellings that git accepts
 * (https://git-scm.com/docs/git-clone#_git_urls): ssh://, scp-like user@host:path, https://. */
#ifndef GITGATE_API_URL_H
#define GITGATE_API_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum url_scheme { URL_SSH, URL_HTTPS };

#define URL_USER_MAX 64
#define URL_HOST_MAX 253 /* RFC 1035, section 2.3.4, without the final dot */
#define URL_PATH_MAX 1024
#define URL_MAX 1500

struct url {
    enum url_scheme scheme;
    char user[URL_USER_MAX + 1];         /* "" when the spelling has none */
    char host[URL_HOST_MAX + 1];         /* lower case; an IPv6 address without its brackets */
    char written_host[URL_HOST_MAX + 1]; /* the same as it was written: git compares letters */
    uint16_t port;                       /* the scheme's own (22, 443) when the spelling has none */
    char path[URL_PATH_MAX + 1];         /* without leading slash, without ".git" at its end */
};

/* Refuses what could be read as an option or as shell text, paths with "." or ".." components,
 * control characters, credentials in the URL (user:password@), other schemes. */
int url_parse(const char *text, struct url *ret, struct error *err);

/* An RFC 1123 host name in lower case: what may stand in a URL, /etc/hosts and known_hosts. An IPv4
 * address has that form too. */
bool host_name_valid(const char *host);

static inline uint16_t url_default_port(enum url_scheme scheme)
{
    return scheme == URL_SSH ? 22 : 443;
}

#endif
