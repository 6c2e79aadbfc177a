/* Any bytes are an expression or refused with words; memory stays bounded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_expression struct expression found = EXPRESSION_INIT;
    struct error err = ERROR_INIT;
    char *text = strndup((const char *)data, size);

    if (expression_parse(text, EXPRESSION_EXACT, &found, &err) < 0 && !*err.msg)
        abort();
    free(text);
    return 0;
}
