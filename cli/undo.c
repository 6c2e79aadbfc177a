#include "undo.h"

#include <errno.h>

#include "base/cleanup.h"
#include "data/json_patch.h"

static json_t *annotations_of(json_t *pod)
{
    return json_object_get(json_object_get(pod, "metadata"), "annotations");
}

static int write_note(json_t *pod, const json_t *undo, struct error *err)
{
    cleanup_free char *text = json_dumps(undo, JSON_COMPACT);

    if (!text || json_object_set_new(annotations_of(pod), ANNOTATION_UNDO, json_string(text)) < 0)
        return error_errno(err, -ENOMEM, "cannot note how to take the gate out again");
    return 0;
}

/* A pod that the API server is sent always has metadata, the template of a Job need not. */
static int make_metadata(json_t *pod, json_t *undo, struct error *err)
{
    json_auto_t *patch = NULL;

    if (json_is_object(json_object_get(pod, "metadata")))
        return 0;
    patch = json_pack("[{s:s, s:s, s:{}}]", "op", "add", "path", "/metadata", "value");
    return json_patch_apply(pod, patch, undo, err);
}

int undo_patch(json_t *pod, const json_t *patch, struct error *err)
{
    json_auto_t *undo = json_array();
    int r = make_metadata(pod, undo, err);

    if (r == 0)
        r = json_patch_apply(pod, patch, undo, err);
    return r < 0 ? r : write_note(pod, undo, err);
}

bool undo_is_noted(json_t *pod)
{
    return json_object_get(annotations_of(pod), ANNOTATION_UNDO) != NULL;
}

int undo_pod(json_t *pod, struct error *err)
{
    json_t *annotations = annotations_of(pod),
           *note = json_object_get(annotations, ANNOTATION_UNDO);
    json_auto_t *undo = NULL;

    if (!note)
        return 0;
    undo =
        json_loadb(json_string_value(note), json_string_length(note), JSON_REJECT_DUPLICATES, NULL);
    if (!undo)
        return error_set(err, -EINVAL, "annotation " ANNOTATION_UNDO " can't be read");
    json_object_del(annotations, ANNOTATION_UNDO);
    return json_patch_apply(pod, undo, NULL, err);
}
