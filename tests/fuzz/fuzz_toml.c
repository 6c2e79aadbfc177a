/* Any bytes are TOML or refused with words. */
#include <stdint.h>
#include <stdlib.h>

#include "data/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    json_auto_t *root = NULL;
    int r = toml_parse((const char *)data, size, "f", &root, &err);

    if ((r < 0) != !root || (r < 0 && !*err.msg))
        abort();
    return 0;
}
