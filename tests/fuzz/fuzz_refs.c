/* What an upstream lets git list of its refs: any bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/refs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The list's halves are what is here and what is there: as many are gone as there are commands. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct refs mine CLEANUP(refs_done) = REFS_INIT(1u << 20);
    struct refs theirs CLEANUP(refs_done) = REFS_INIT(1u << 20);
    cleanup_buf struct buf to = BUF_INIT(1u << 20);
    char *here = strndup((const char *)data, size / 2);
    char *there = strndup((const char *)data + size / 2, size - size / 2);
    size_t gone, commands = 0;

    if (!here || !there)
        abort();
    if (refs_parse(here, &mine, NULL) == 0 && refs_parse(there, &theirs, NULL) == 0) {
        gone = refs_delete_gone(&mine, &theirs, &to);
        for (size_t i = 0; i + 1 < to.len; i++)
            commands += to.data[i] == '\0' && to.data[i + 1] == '\0';
        if (gone != commands || gone > mine.n || (refs_equal(&mine, &theirs) && gone > 0))
            abort();
    }
    free(here);
    free(there);
    return 0;
}
