/* Whatever the text is: what is found lies within it, the walk over an array ends, and of an object
 * of which a strict reader takes all, the same is known as from its text. What object_mend makes of
 * a text is as long. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/document.h"
#include "data/json_span.h"
#include "kube/object.h"

static void check(struct json_span inner, struct json_span outer)
{
    if (inner.at && (inner.at < outer.at || inner.len > outer.len ||
                     inner.at + inner.len > outer.at + outer.len || !inner.len))
        abort();
}

static void walk(struct json_span array)
{
    struct json_span element = {0};

    for (size_t n = 0; (element = json_span_next(array, element)).at; n++) {
        check(element, array);
        if (n > array.len)
            abort();
    }
}

/* A string that needs no escape is the same by both ways. */
static void compare(struct json_span span, const struct node *node)
{
    char text[256];

    if (json_span_text(span, text, sizeof text) && !node_is_text(node, text))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free char *text = malloc(size + 1), *copy = malloc(size + 1);
    cleanup_document struct document document = DOCUMENT_INIT;
    cleanup_buf struct buf known = BUF_INIT(4096);
    struct json_span all, whole, metadata, name;

    if (!text || !copy)
        return 0;
    memcpy(text, data, size);
    memcpy(copy, data, size);
    all = (struct json_span){.at = text, .len = size};
    whole = json_span_of(text, size);
    check(whole, all);
    metadata = json_span_get(whole, "metadata");
    check(metadata, all);
    name = json_span_get(metadata, "name");
    check(name, all);
    walk(whole);
    walk(json_span_get(whole, "items"));
    object_write_known(&known, whole);
    if (document_parse(copy, size, &document, NULL) == 0)
        compare(name, node_get(node_get(document_root(&document), "metadata"), "name"));
    document_done(&document);
    if (known.len && document_parse(known.data, known.len, &document, NULL) < 0)
        abort();
    object_mend(text, size);
    return 0;
}
