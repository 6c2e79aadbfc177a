#include "group.h"

#include <string.h>

#include "base/parse.h"

#define DIGITS_MAX 10

struct range {
    uint32_t min, max;
};

static struct range range_of(const struct node *spec)
{
    if (node_is(node_get(spec, "hostUsers"), NODE_FALSE))
        return (struct range){GROUP_OWN_USERS_MIN, GROUP_OWN_USERS_MAX};
    return (struct range){GROUP_MIN, GROUP_MAX};
}

static const struct node *find_gate(const struct node *spec, const struct parts *parts)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const struct node *container, *all;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        all = parts_find(parts, lists[i], CONTAINER_GATE) ? node_get(spec, lists[i]) : NULL;
        node_each(all, container)
        {
            if (node_is_text(node_get(container, "name"), CONTAINER_GATE))
                return container;
        }
    }
    return NULL;
}

/* 0 when it is none that could have been drawn. */
static uint32_t present_group(const struct node *gate, struct range range)
{
    const struct node *node = node_get(node_get(gate, "securityContext"), "runAsGroup");
    char digits[DIGITS_MAX + 1] = "";
    uint64_t group;

    if (!node_is(node, NODE_NUMBER) || node->len > DIGITS_MAX)
        return 0;
    memcpy(digits, node->text, node->len);
    return parse_u64(digits, range.max, &group) == 0 && group >= range.min ? (uint32_t)group : 0;
}

uint32_t group_of(const struct node *pod, const struct parts *parts, uint64_t random)
{
    const struct node *spec = node_get(pod, "spec");
    struct range range = range_of(spec);
    uint32_t group = present_group(find_gate(spec, parts), range);

    return group ? group : range.min + (uint32_t)(random % (range.max - range.min + 1));
}
