/* Any bytes as the pod and the note that `gitgate uninject` reads: a document, and a patch in its
 * member "patch". What can be applied can be taken back. */
#include <stdint.h>
#include <stdlib.h>

#include "data/json_patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *document = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    json_auto_t *patch = json_deep_copy(json_object_get(document, "patch"));
    json_auto_t *before = NULL, *undo = json_array();
    struct error err = ERROR_INIT;

    json_object_del(document, "patch");
    before = json_deep_copy(document);
    if (!before || json_patch_apply(document, patch, undo, &err) < 0)
        return 0;
    if (json_patch_apply(document, undo, NULL, &err) < 0 || !json_equal(document, before))
        abort();
    return 0;
}
