#include "api/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"

#define SSH_PREFIX "ssh://"
#define HTTPS_PREFIX "https://"

/* Who sees host:path of the scp-like form writes it behind ssh://, too. */
#define BAD_PORT                                                                                   \
    "has a port that is not within 1..65535; with a scheme a path begins with '/', not with ':'"

static bool alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A piece of the text: nothing is copied before it is known to fit. */
struct span {
    const char *at;
    size_t len;
};

static bool contains_only(struct span s, const char *beside)
{
    for (size_t i = 0; i < s.len; i++)
        if (!alphanumeric(s.at[i]) && (!s.at[i] || !strchr(beside, s.at[i])))
            return false;
    return true;
}

static void copy(char *to, struct span s)
{
    memcpy(to, s.at, s.len);
    to[s.len] = '\0';
}

/* No message quotes the URL: people paste tokens into them. */
static int parse_user(struct span user, struct url *url, struct error *err)
{
    if (memchr(user.at, ':', user.len))
        return error_set(err, -EINVAL,
                         "holds a password; credentials belong in a Secret "
                         "(ssh.secretRef or http.secretRef)");
    if (url->scheme == URL_HTTPS)
        return error_set(err, -EINVAL,
                         "names a user before the host; for https the user and its "
                         "token belong in a Secret (http.secretRef)");
    if (user.len == 0 || user.len > URL_USER_MAX || user.at[0] == '-' ||
        !contains_only(user, "._-"))
        return error_set(err, -EINVAL,
                         "has a user name that is not letters, digits, '.', '_' "
                         "and '-' (at most %d)",
                         URL_USER_MAX);
    copy(url->user, user);
    return 0;
}

bool host_name_valid(const char *host)
{
    size_t label = 0, len = strlen(host);

    if (len == 0 || len > URL_HOST_MAX)
        return false;
    for (size_t i = 0; i <= len; i++) {
        if (host[i] == '.' || host[i] == '\0') {
            if (label == 0 || label > 63 || host[i - 1] == '-' || host[i - label] == '-')
                return false;
            label = 0;
        } else {
            if ((!alphanumeric(host[i]) && host[i] != '-') || (host[i] >= 'A' && host[i] <= 'Z'))
                return false;
            label++;
        }
    }
    return true;
}

static int parse_ipv6(struct span host, struct url *url, struct error *err)
{
    struct in6_addr address;

    if (host.len >= INET6_ADDRSTRLEN)
        return error_set(err, -EINVAL, "has an IPv6 address that is none");
    copy(url->host, host);
    if (inet_pton(AF_INET6, url->host, &address) != 1)
        return error_set(err, -EINVAL, "has an IPv6 address that is none");
    inet_ntop(AF_INET6, &address, url->host, sizeof url->host);
    return 0;
}

static int parse_host(struct span host, struct url *url, struct error *err)
{
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';

    if (bracketed)
        host = (struct span){host.at + 1, host.len - 2};
    if (host.len == 0 || host.len > URL_HOST_MAX)
        return error_set(err, -EINVAL, "has no host name, or one of more than %d bytes",
                         URL_HOST_MAX);
    copy(url->written_host, host);
    if (bracketed)
        return parse_ipv6(host, url, err);
    copy(url->host, host);
    for (char *p = url->host; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p += 'a' - 'A';
    if (!host_name_valid(url->host))
        return error_set(err, -EINVAL,
                         "has a host that is no host name (letters, digits, '-' and "
                         "'.'; a label neither starts nor ends with '-')");
    return 0;
}

static int parse_port(struct span port, struct url *url, struct error *err)
{
    char digits[6];
    uint64_t value;

    if (port.len == 0 || port.len >= sizeof digits)
        return error_set(err, -EINVAL, BAD_PORT);
    copy(digits, port);
    if (parse_u64(digits, UINT16_MAX, &value) < 0 || value == 0)
        return error_set(err, -EINVAL, BAD_PORT);
    url->port = (uint16_t)value;
    return 0;
}

/* "[user@]host[:port]" of a URL with a scheme. */
static int parse_authority(struct span authority, struct url *url, struct error *err)
{
    const char *at = memrchr(authority.at, '@', authority.len);
    const char *colon;
    struct span host = authority;
    int r;

    if (at) {
        r = parse_user((struct span){authority.at, (size_t)(at - authority.at)}, url, err);
        if (r < 0)
            return r;
        host = (struct span){at + 1, authority.len - (size_t)(at + 1 - authority.at)};
    }
    colon = memrchr(host.at, ':', host.len);
    if (colon && !memchr(colon, ']', host.len - (size_t)(colon - host.at))) {
        r = parse_port((struct span){colon + 1, host.len - (size_t)(colon + 1 - host.at)}, url,
                       err);
        if (r < 0)
            return r;
        host.len = (size_t)(colon - host.at);
    }
    return parse_host(host, url, err);
}

static int check_component(struct span part, struct error *err)
{
    if (part.len == 0)
        return error_set(err, -EINVAL, "has an empty component in its path (\"//\")");
    if (part.at[0] == '-')
        return error_set(err, -EINVAL, "has a path component that starts with '-'");
    if ((part.len == 1 && part.at[0] == '.') || (part.len == 2 && !memcmp(part.at, "..", 2)))
        return error_set(err, -EINVAL, "has \".\" or \"..\" as a path component");
    if (part.len == 4 && !memcmp(part.at, ".git", 4))
        return error_set(err, -EINVAL,
                         "has \".git\" as a path component; name the repository "
                         "itself");
    return 0;
}

/* Slashes around it and ".git" at its end do not belong to the path: users write both. */
static int parse_path(struct span path, struct url *url, struct error *err)
{
    size_t start = 0;
    int r;

    while (path.len > 0 && path.at[0] == '/')
        path = (struct span){path.at + 1, path.len - 1};
    while (path.len > 0 && path.at[path.len - 1] == '/')
        path.len--;
    if (path.len > URL_PATH_MAX)
        return error_set(err, -EINVAL, "has a path of more than %d bytes", URL_PATH_MAX);
    if (!contains_only(path, "._~/+@=,-"))
        return error_set(err, -EINVAL,
                         "has a character in its path that is not a letter, a digit "
                         "or one of ._~/+@=,-");
    if (path.len == 0)
        return error_set(err, -EINVAL, "has no path");
    /* Before the components are judged: "...git" must not become "..". */
    if (path.len > 4 && !memcmp(path.at + path.len - 4, ".git", 4) && path.at[path.len - 5] != '/')
        path.len -= 4;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.at[i] != '/')
            continue;
        r = check_component((struct span){path.at + start, i - start}, err);
        if (r < 0)
            return r;
        start = i + 1;
    }
    copy(url->path, path);
    return 0;
}

static int parse_with_scheme(const char *text, size_t prefix, struct url *url, struct error *err)
{
    const char *rest = text + prefix;
    const char *slash = strchr(rest, '/');
    int r;

    if (!slash)
        return error_set(err, -EINVAL, "has no path");
    r = parse_authority((struct span){rest, (size_t)(slash - rest)}, url, err);
    if (r < 0)
        return r;
    return parse_path((struct span){slash, strlen(slash)}, url, err);
}

/* "[user@]host:path": as git decides it, the colon stands before any slash. */
static int parse_scp_like(const char *text, struct url *url, struct error *err)
{
    const char *host = text, *at, *colon;
    int r;

    at = memchr(text, '@', strcspn(text, "/:["));
    if (at)
        host = at + 1;
    colon = *host == '[' ? strchr(host, ']') : host;
    colon = colon ? strchr(colon, ':') : NULL;
    if (!colon || memchr(host, '/', (size_t)(colon - host)))
        return error_set(err, -EINVAL, "is neither ssh://, https:// nor user@host:path");
    if (!at && memchr(colon, '@', strcspn(colon, "/")))
        return error_set(err, -EINVAL,
                         "holds a password, or a user name with ':'; credentials "
                         "belong in a Secret (ssh.secretRef)");
    if (at) {
        r = parse_user((struct span){text, (size_t)(at - text)}, url, err);
        if (r < 0)
            return r;
    }
    r = parse_host((struct span){host, (size_t)(colon - host)}, url, err);
    if (r < 0)
        return r;
    return parse_path((struct span){colon + 1, strlen(colon + 1)}, url, err);
}

/* git takes ssh:/host/path for the path /host/path of a host "ssh". */
static bool lacks_slash(const char *text)
{
    return text_starts(text, "ssh:/") || text_starts(text, "https:/") ||
           text_starts(text, "http:/");
}

int url_parse(const char *text, struct url *ret, struct error *err)
{
    struct url url = {.scheme = URL_SSH};
    int r;

    if (strlen(text) > URL_MAX)
        return error_set(err, -EINVAL, "is longer than %d bytes", URL_MAX);
    if (text[0] == '-')
        return error_set(err, -EINVAL, "starts with '-'");
    if (text_starts(text, SSH_PREFIX)) {
        url.port = url_default_port(URL_SSH);
        r = parse_with_scheme(text, strlen(SSH_PREFIX), &url, err);
    } else if (text_starts(text, HTTPS_PREFIX)) {
        url.scheme = URL_HTTPS;
        url.port = url_default_port(URL_HTTPS);
        r = parse_with_scheme(text, strlen(HTTPS_PREFIX), &url, err);
    } else if (text_starts(text, "http://") || text_starts(text, "git://")) {
        return error_set(err, -EINVAL, "is not encrypted; use https:// or ssh://");
    } else if (strstr(text, "://")) {
        return error_set(err, -EINVAL, "has a scheme other than ssh:// and https://");
    } else if (lacks_slash(text)) {
        return error_set(err, -EINVAL, "lacks the second '/' behind its scheme");
    } else {
        url.port = url_default_port(URL_SSH);
        r = parse_scp_like(text, &url, err);
    }
    if (r == 0)
        *ret = url;
    return r;
}
