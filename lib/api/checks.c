#include "api/checks.h"

#include <errno.h>
#include <string.h>

#include "api/gitgate.h"
#include "api/ip.h"
#include "api/names.h"
#include "api/url.h"
#include "base/buf.h"
#include "data/base64.h"

#define KEY_BYTES_MAX 8192 /* an RSA key of 16384 bits has 2 kB; certificates are not keys */

int check_gate_name(const char *text, struct error *err)
{
    if (gitgate_name_valid(text))
        return 0;
    return error_set(err, -EINVAL,
                     "must be lower-case letters, digits and '-', start and end with "
                     "a letter or digit, and have at most %d characters (the objects "
                     "made from it have longer names)",
                     GITGATE_NAME_MAX);
}

int check_upstream_name(const char *text, struct error *err)
{
    if (upstream_name_valid(text))
        return 0;
    return error_set(err, -EINVAL,
                     "must be lower-case letters, digits, '.', '_' and '-' (at most "
                     "63), start and end with a letter or digit, without \"..\", and "
                     "not end in .git or .lock");
}

static bool made_of(const char *text, const char *beside_lower_and_digits, bool upper)
{
    for (const char *p = text; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') &&
            !(upper && *p >= 'A' && *p <= 'Z') && !strchr(beside_lower_and_digits, *p))
            return false;
    return true;
}

int check_namespace(const char *text, struct error *err)
{
    size_t len = strlen(text);

    if (len <= 63 && made_of(text, "-", false) && text[0] != '-' && text[len - 1] != '-')
        return 0;
    return error_set(err, -EINVAL, "must be lower-case letters, digits and '-' (at most 63)");
}

int check_object_name(const char *text, struct error *err)
{
    if (host_name_valid(text)) /* the same rule: an RFC 1123 subdomain */
        return 0;
    return error_set(err, -EINVAL,
                     "must be an object's name: lower-case letters, digits, '-' and "
                     "'.', starting and ending with a letter or digit");
}

/* Each write of one would be a change of what it is made from: it would be written for ever. */
int check_source_secret(const char *text, struct error *err)
{
    if (gitgate_is_creds_name(text))
        return error_set(err, -EINVAL,
                         "names a Secret that gitgate makes: name the one that you keep the "
                         "credential in");
    return check_object_name(text, err);
}

int check_data_key(const char *text, struct error *err)
{
    if (strlen(text) <= 253 && made_of(text, "-._", true) && text[0] != '.')
        return 0;
    return error_set(err, -EINVAL, "must be a key: letters, digits, '-', '_' and '.'");
}

/* ---- host keys ---- */

static const char *const key_types[] = {
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
};

static bool key_type_known(const char *type, size_t len)
{
    for (size_t i = 0; i < sizeof key_types / sizeof *key_types; i++)
        if (strlen(key_types[i]) == len && memcmp(key_types[i], type, len) == 0)
            return true;
    return false;
}

/* A public key's bytes start with its type as an SSH string (RFC 4253, section 6.6): a key that
 * was cut or belongs to another type is found here and not as a refused connection. */
static bool blob_has_type(const struct buf *blob, const char *type, size_t len)
{
    const unsigned char *b = (const unsigned char *)blob->data;

    return blob->len > 4 + len && b[0] == 0 && b[1] == 0 && b[2] == 0 && b[3] == len &&
           memcmp(b + 4, type, len) == 0;
}

int check_known_host_key(const char *text, struct error *err)
{
    cleanup_buf struct buf blob = BUF_INIT(KEY_BYTES_MAX);
    size_t len = strcspn(text, " ");
    const char *key = text[len] ? text + len + 1 : "";

    if (!*key || strchr(key, ' '))
        return error_set(err, -EINVAL,
                         "must be \"<type> <base64>\" as ssh-keyscan prints it, "
                         "without the host before it and without a comment");
    if (!key_type_known(text, len))
        return error_set(err, -EINVAL,
                         "must start with a host key type: ssh-ed25519, "
                         "ecdsa-sha2-nistp256, -384 or -521, ssh-rsa, sk-ssh-ed25519"
                         "@openssh.com or sk-ecdsa-sha2-nistp256@openssh.com");
    if (base64_decode(key, strlen(key), &blob) < 0 || !blob_has_type(&blob, text, len))
        return error_set(err, -EINVAL,
                         "is no %.*s key: its base64 part is damaged or of another "
                         "type",
                         (int)len, text);
    return 0;
}

/* ---- hosts and addresses ---- */

static int check_host_name(const char *text, struct error *err)
{
    if (host_name_valid(text))
        return 0;
    return error_set(err, -EINVAL, "must be a host name in lower case");
}

int check_extra_host(const char *text, struct error *err)
{
    if (strcmp(text, GITGATE_HOSTNAME) == 0 || strcmp(text, "localhost") == 0)
        return error_set(err, -EINVAL, "is the pod's own name and can't be given another address");
    return check_host_name(text, err);
}

int check_ip(const char *text, struct error *err)
{
    struct ip ip;

    if (ip_parse(text, &ip) < 0)
        return error_set(err, -EINVAL, "must be an IPv4 or IPv6 address");
    if (ip_is_never(&ip))
        return error_set(err, -EINVAL,
                         "is link-local or a cloud's own address (its metadata service is "
                         "there); it is never reachable");
    return 0;
}

int check_cidr(const char *text, struct error *err)
{
    struct cidr cidr;

    if (cidr_parse(text, &cidr) < 0)
        return error_set(err, -EINVAL,
                         "must be an address range (\"10.0.0.0/8\") whose bits behind "
                         "the prefix are 0");
    if (cidr_is_never(&cidr))
        return error_set(err, -EINVAL,
                         "is link-local or a cloud's own address (its metadata service is "
                         "there); it is never reachable");
    return 0;
}

/* ---- refs ---- */

static const char *const variables[] = {"$(POD_NAME)", "$(POD_NAMESPACE)", "$(SERVICE_ACCOUNT)"};

static size_t variable_at(const char *text)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (strncmp(text, variables[i], strlen(variables[i])) == 0)
            return strlen(variables[i]);
    return 0;
}

static int check_variable(const char *text, struct error *err)
{
    if (variable_at(text))
        return 0;
    return error_set(err, -EINVAL,
                     "holds a '$' that starts none of $(POD_NAME), $(POD_NAMESPACE) and "
                     "$(SERVICE_ACCOUNT)");
}

/* What git-check-ref-format(1) forbids in a ref can't be matched by a pattern either; '*' and the
 * variables are ours. */
int check_ref_pattern(const char *text, struct error *err)
{
    if (strncmp(text, "refs/heads/", 11) != 0 && strncmp(text, "refs/tags/", 10) != 0)
        return error_set(err, -EINVAL, "must start with refs/heads/ or refs/tags/");
    if (strstr(text, "..") || strstr(text, "//") || strstr(text, "/.") || strstr(text, "@{") ||
        text[strlen(text) - 1] == '/')
        return error_set(err, -EINVAL,
                         "can match no ref: git allows no \"..\", \"//\", \"/.\" and "
                         "\"@{\" in one, and no '/' at its end");
    for (const char *p = text; *p; p++) {
        if (*p == '$') {
            if (check_variable(p, err) < 0)
                return -EINVAL;
            p += variable_at(p) - 1;
        } else if (strchr(" ~^:?[\\\"`;|&<>(){}", *p)) {
            return error_set(err, -EINVAL, "holds '%c', which no ref may hold here", *p);
        }
    }
    return 0;
}

int check_option_pattern(const char *text, struct error *err)
{
    for (const char *p = text; *p; p++) {
        if (*p == '$' && check_variable(p, err) < 0)
            return -EINVAL;
        if (*p & 0x80)
            return error_set(err, -EINVAL,
                             "holds a character beyond ASCII; '*' matches whatever stands there");
    }
    return 0;
}

/* ---- the rest ---- */

/* registry:port/path/name:tag@sha256:hex, all of it read by the kubelet alone. */
int check_image(const char *text, struct error *err)
{
    if (made_of(text, "-._/:@+", true) && text[0] != '-')
        return 0;
    return error_set(err, -EINVAL, "must be an image reference (\"registry/name:tag\")");
}

int check_rule_id(const char *text, struct error *err)
{
    if (strlen(text) <= 100 && made_of(text, "-._", true))
        return 0;
    return error_set(err, -EINVAL, "must be letters, digits, '-', '_' and '.' (at most 100)");
}

int check_fingerprint(const char *text, struct error *err)
{
    if (strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16)
        return 0;
    return error_set(err, -EINVAL, "must be the 16 hexadecimal digits that a refused push prints");
}
