/* What a client says first: any bytes, of which more and more come. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Once read, more bytes behind it change nothing; a path is always one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct git_request whole, part;
    enum request_state state = request_read(text, size, &whole);

    if (state == REQUEST_MORE && size >= REQUEST_MAX)
        abort();
    if (state == REQUEST_WHOLE && (whole.path[0] != '/' || strlen(whole.path) >= PATH_MAX))
        abort();
    for (size_t len = size; len-- > 0;) {
        enum request_state then = request_read(text, len, &part);

        if (then == REQUEST_MORE)
            break;
        if (len < REQUEST_MAX && then != state)
            abort();
        if (then == REQUEST_WHOLE && strcmp(part.path, whole.path) != 0)
            abort();
    }
    return 0;
}
