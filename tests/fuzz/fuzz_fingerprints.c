/* Whatever a host says its keys are: what is shown is printable, and bounded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fingerprints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_buf struct buf text = BUF_INIT(1u << 20), out = BUF_INIT(FINGERPRINT_MAX);
    int n;

    buf_add(&text, data, size);
    n = fingerprints_add(&out, text.data, size & 1 ? FINGERPRINTS_KEYS : FINGERPRINTS_HOSTS);
    if (n < 0 || (n == 0) != (out.len == 0) || buf_error(&out))
        abort();
    for (size_t i = 0; i < out.len; i++)
        if (out.data[i] < ' ' || out.data[i] > '~')
            abort();
    return 0;
}
