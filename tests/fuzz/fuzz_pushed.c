/* What an upstream lets git print of a push, and its refs: any bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pushed.h"

#define OLD "1111111111111111111111111111111111111111"
#define NEW "2222222222222222222222222222222222222222"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char line[] = OLD " " NEW " refs/heads/a";
    cleanup_push struct push push = PUSH_INIT;
    struct pushed each[1] = {0};
    char *text = strndup((const char *)data, size);

    if (!text || push_add(&push, line, sizeof line - 1, NULL) < 0)
        abort();
    pushed_read(&push, text, each);
    if (each[0].state == PUSHED_TAKEN && *each[0].reason)
        abort();
    pushed_settle(&push, text, "it broke", each);
    if (each[0].state == PUSHED_UNKNOWN || strpbrk(each[0].reason, "\n\r"))
        abort();
    free(text);
    return 0;
}
