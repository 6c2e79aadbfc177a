/* What git says of a repository, in which an upstream's words may stand: any bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/suspicion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte is how fsck ended. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *said = strndup((const char *)data + (size > 0), size > 0 ? size - 1 : 0);
    int exit_code = size > 0 ? data[0] : 0;
    size_t len;

    if (!said)
        abort();
    if (fsck_tells_damage(0, said) || (damage_suspected(said) && !*said))
        abort();
    fsck_tells_damage(exit_code, said);
    /* What the upstream says through git is no word of git's: it must not bring a mirror down. */
    len = strcspn(said, "\r\n");
    if (strncmp(said, "remote: ", 8) == 0 && said[len] == '\0' && damage_suspected(said))
        abort();
    free(said);
    return 0;
}
