#include "kept.h"

#include <errno.h>

#include "ids.h"
#include "kube/object.h"

int kept_gate_add(const struct node *object, struct buf *kept)
{
    const struct node *selector = node_get(node_get(object, "spec"), "podSelector");
    const struct node *metadata = node_get(object, "metadata");
    struct kept_gate gate = {.version =
                                 version_parse(node_string(node_get(metadata, "resourceVersion")))};
    json_auto_t *tree = node_to_json(selector);

    if (!gate.version)
        return -EBADMSG;
    gate.selector = tree;
    buf_add(kept, &gate, sizeof gate);
    object_write(kept, object, &kube_gitgates);
    buf_addc(kept, '\0');
    if ((selector && !tree) || buf_error(kept))
        return -ENOMEM;
    json_incref(tree);
    return 0;
}

void kept_gate_done(void *kept)
{
    json_decref(((struct kept_gate *)kept)->selector);
}

json_t *kept_gate_object(const struct kept_gate *kept)
{
    return json_loads(kept->text, 0, NULL);
}
