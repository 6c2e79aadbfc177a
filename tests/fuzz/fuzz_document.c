/* Two readers of the same bytes must not understand them differently: what the document takes,
 * jansson takes too and means the same by, and the other way round but for the document's caps and
 * NUL bytes, at which jansson ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/document.h"

/* jansson refuses numbers out of range, and takes no scalar at the top without being asked. */
#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

static bool is_cap(const struct error *err)
{
    return strstr(err->msg, "nested deeper") || strstr(err->msg, "more values");
}

static bool is_number_problem(const json_error_t *where)
{
    return json_error_code(where) == json_error_numeric_overflow;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free char *body = malloc(size + 1);
    cleanup_document struct document document = DOCUMENT_INIT;
    struct error err = ERROR_INIT;
    json_error_t where;
    json_auto_t *theirs = json_loadb((const char *)data, size, FLAGS, &where), *ours = NULL;

    if (!body)
        return 0;
    memcpy(body, data, size);
    if (document_parse(body, size, &document, &err) < 0) {
        if (theirs && !is_cap(&err) && !memchr(data, 0, size))
            abort();
        return 0;
    }
    if (!theirs && !is_number_problem(&where))
        abort();
    ours = node_to_json(document_root(&document));
    if (theirs && (!ours || !json_equal(ours, theirs)))
        abort();
    if (!node_equal(document_root(&document), document_root(&document)))
        abort();
    return 0;
}
