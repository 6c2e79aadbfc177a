#include "census.h"

#include <stdio.h>
#include <string.h>

void census_add(struct pod_group *group, const char *name)
{
    size_t len = strlen(group->names);

    if (group->n++ < CENSUS_NAMES)
        snprintf(group->names + len, sizeof group->names - len, "%s%s", len ? ", " : "", name);
}

json_t *census_json(const struct census *census)
{
    return json_pack("{s:I, s:I, s:I}", "gated", (json_int_t)census->gated, "outdated",
                     (json_int_t)census->outdated.n, "missing", (json_int_t)census->missing.n);
}
