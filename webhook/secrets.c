#include "secrets.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/names.h"

struct secrets {
    size_t n;
    const char *names[GITGATE_UPSTREAMS_MAX]; /* sorted */
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct secrets *secrets_new(const struct gitgate *gate)
{
    struct secrets *secrets = calloc(1, sizeof *secrets);

    if (!secrets)
        return NULL;
    for (size_t i = 0; i < gate->n_upstreams && i < GITGATE_UPSTREAMS_MAX; i++)
        if (gate->upstreams[i].secret)
            secrets->names[secrets->n++] = gate->upstreams[i].secret;
    qsort((void *)secrets->names, secrets->n, sizeof *secrets->names, compare);
    return secrets;
}

void secrets_free(struct secrets *secrets)
{
    free(secrets);
}

static bool is_gate_secret(const struct secrets *secrets, const struct node *name)
{
    if (!node_is(name, NODE_STRING))
        return false;
    return gitgate_is_creds_name(name->text) ||
           bsearch(&name->text, secrets->names, secrets->n, sizeof *secrets->names, compare);
}

/* Whether such a name stands anywhere in it: seldom, and then it is worth a closer look. */
static bool names_gate_secret(const struct secrets *secrets, const struct node *node)
{
    for (uint32_t i = 0; node && i < node->span; i++)
        if (is_gate_secret(secrets, &node[i]))
            return true;
    return false;
}

/* Any member called ...secret... that names such a Secret, at any depth: secret, projected sources,
 * env, envFrom, CSI and the older volume drivers, and what later API versions bring. */
static const char *search(const struct secrets *secrets, const struct node *node)
{
    const struct node *value;

    node_each(node, value)
    {
        const struct node *name = node_is(value, NODE_OBJECT) ? node_get(value, "name") : value;
        const char *found;

        if (value->key && strcasestr(value->key, "secret") && is_gate_secret(secrets, name))
            return node_string(name);
        found = search(secrets, value);
        if (found)
            return found;
    }
    return NULL;
}

const char *secrets_find(const struct secrets *secrets, const struct node *node)
{
    return names_gate_secret(secrets, node) ? search(secrets, node) : NULL;
}
