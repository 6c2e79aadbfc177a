/* What a client sends before its pack: any bytes, in any pieces. */
#include <stdint.h>
#include <stdlib.h>

#include "serve/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cut in two anywhere, it comes to the same, and no more is counted than may be handed on. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct commands whole = {0}, parts = {0};
    size_t cut = size ? data[0] % (size + 1) : 0;
    ssize_t all = commands_take(&whole, text, size), first = commands_take(&parts, text, cut), rest;

    if (first < 0) {
        if (all != first)
            abort();
        return 0;
    }
    rest = parts.pack ? 0 : commands_take(&parts, text + first, size - (size_t)first);
    if ((rest < 0 ? rest : first + rest) != all || parts.pack != whole.pack)
        abort();
    if (all >= 0 && (whole.bytes != (size_t)all || whole.bytes > COMMANDS_BYTES_MAX))
        abort();
    return 0;
}
