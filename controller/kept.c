#include "kept.h"

#include <stdlib.h>
#include <string.h>

#include "kube/object.h"

#define TEXT_MAX                                                                                   \
    (8u << 20) /* etcd takes 1.5 MiB; escapes may take more room than what they stand for */
#define TEXT_AT_FIRST 4096

static struct kept_gate *keep(const char *version, const struct buf *text, json_t *selector)
{
    size_t size = strlen(version) + 1;
    struct kept_gate *kept = malloc(sizeof *kept + size + text->len + 1);

    if (!kept)
        return NULL;
    memcpy(kept->version, version, size);
    kept->text = memcpy(kept->version + size, text->data, text->len + 1);
    kept->selector = json_incref(selector);
    return kept;
}

void *kept_gate_new(const struct node *object)
{
    const struct node *selector = node_get(node_get(object, "spec"), "podSelector");
    const char *version = node_string(node_get(node_get(object, "metadata"), "resourceVersion"));
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX);
    json_auto_t *tree = node_to_json(selector);

    buf_reserve(&text, TEXT_AT_FIRST);
    object_write(&text, object, &kube_gitgates);
    if (!version || buf_error(&text) || (selector && !tree))
        return NULL;
    return keep(version, &text, tree);
}

void kept_gate_free(void *value)
{
    struct kept_gate *kept = value;

    json_decref(kept->selector);
    free(kept);
}

json_t *kept_gate_object(const struct kept_gate *kept)
{
    return json_loads(kept->text, 0, NULL);
}
