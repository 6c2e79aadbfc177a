/* Names of the objects that a GitGate `agents` owns: "agents-gitgate-hooks" and so on. */
#ifndef GITGATE_API_NAMES_H
#define GITGATE_API_NAMES_H

#include <stdbool.h>

#define NAME_MAX_LEN 253    /* RFC 1123 subdomain, as the API server checks it */
#define GITGATE_NAME_MAX 46 /* with "-gitgate-internal" behind it still an RFC 1123 label (63) */

enum owned_name {
    NAME_HOOKS,    /* ConfigMap <gate>-gitgate-hooks */
    NAME_CREDS,    /* Secret <gate>-gitgate-creds */
    NAME_CLIENT,   /* ConfigMap <gate>-gitgate-client */
    NAME_INTERNAL, /* NetworkPolicy <gate>-gitgate-internal */
    NAME_EGRESS,   /* NetworkPolicy <gate>-gitgate-egress */
};

struct name {
    char text[NAME_MAX_LEN + 1];
};

struct name gitgate_owned_name(const char *gate, enum owned_name which);

/* Whether a Secret of that name is some GitGate's copy of its credentials. */
bool gitgate_is_creds_name(const char *name);

/* An upstream's name: ^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$, not ending in .git or .lock, without
 * "..": it is a file name, a path component and a git configuration value. */
bool upstream_name_valid(const char *name);

/* A GitGate's name: an RFC 1123 label short enough that every derived name is one too. */
bool gitgate_name_valid(const char *name);

#endif
