#include "api/names.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define LABEL_MAX 63 /* RFC 1123 label; also a label's value and an upstream's name */
#define LONGEST_SUFFIX "-gitgate-internal"

static const char *const suffixes[] = {
    [NAME_HOOKS] = "-gitgate-hooks",   [NAME_CREDS] = "-gitgate-creds",
    [NAME_CLIENT] = "-gitgate-client", [NAME_INTERNAL] = LONGEST_SUFFIX,
    [NAME_EGRESS] = "-gitgate-egress",
};

struct name gitgate_owned_name(const char *gate, enum owned_name which)
{
    struct name name;

    snprintf(name.text, sizeof name.text, "%.*s%s", LABEL_MAX, gate, suffixes[which]);
    return name;
}

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool gitgate_is_creds_name(const char *name)
{
    return text_ends(name, suffixes[NAME_CREDS]);
}

bool upstream_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > LABEL_MAX || !lower_or_digit(name[0]) || !lower_or_digit(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!lower_or_digit(name[i]) && !strchr("._-", name[i]))
            return false;
    return !strstr(name, "..") && !text_ends(name, ".git") && !text_ends(name, ".lock");
}

bool gitgate_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > GITGATE_NAME_MAX || !lower_or_digit(name[0]) ||
        !lower_or_digit(name[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!lower_or_digit(name[i]) && name[i] != '-')
            return false;
    return true;
}

_Static_assert(GITGATE_NAME_MAX + sizeof LONGEST_SUFFIX - 1 == LABEL_MAX,
               "every derived name is an RFC 1123 label");
