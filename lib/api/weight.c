#include "api/weight.h"

#define USUAL 4096 /* with a status, and a message or two in it */

size_t gitgate_weight(const struct node *object)
{
    size_t spec = node_weight(node_get(object, "spec"));
    size_t status = node_weight(node_get(object, "status"));

    size_t larger = spec > status ? spec : status;

    return larger > USUAL ? larger - USUAL : 0;
}
