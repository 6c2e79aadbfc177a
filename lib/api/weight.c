#include "api/weight.h"

size_t gitgate_weight(const struct node *object)
{
    size_t spec = node_weight(node_get(object, "spec"));
    size_t status = node_weight(node_get(object, "status"));

    return spec > status ? spec : status;
}
