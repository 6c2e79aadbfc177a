/* Any bytes as base64, out of a Secret or a host key. What is taken is what writing it again gives,
 * but for the bits that padding leaves over; and any bytes come back from what is written of them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 65536

static void read_and_write(const char *text, size_t len)
{
    cleanup_buf struct buf bytes = BUF_INIT(ROOM), again = BUF_INIT(2 * ROOM);
    size_t same = len < 4 ? 0 : len - 4; /* the last four characters may have such bits */

    if (base64_decode(text, len, &bytes) < 0) {
        if (bytes.len > 0 || bytes.data[0] != '\0')
            abort();
        return;
    }
    base64_encode(bytes.data, bytes.len, &again);
    if (again.len != len || memcmp(again.data, text, same) != 0 || bytes.data[bytes.len] != '\0')
        abort();
}

static void write_and_read(const uint8_t *data, size_t size)
{
    cleanup_buf struct buf text = BUF_INIT(2 * ROOM), again = BUF_INIT(ROOM);

    base64_encode(data, size, &text);
    if (base64_decode(text.data, text.len, &again) < 0 || again.len != size ||
        (size > 0 && memcmp(again.data, data, size) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write((const char *)data, size);
    write_and_read(data, size);
    return 0;
}
