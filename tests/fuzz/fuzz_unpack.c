/* Any bytes are unpacked within the budget, and each member that begins ends. */
#include <stdint.h>
#include <stdlib.h>

#include "scan/unpack.h"

#define MEMBERS 100
#define BYTES (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t begun, ended;
    uint64_t bytes;
};

static int take_begin(void *data, const char *name, size_t len, struct error *err)
{
    struct seen *seen = data;

    (void)name;
    (void)err;
    if (len > UNPACK_NAME_MAX || seen->begun != seen->ended || ++seen->begun > MEMBERS)
        abort();
    return 0;
}

static int take_data(void *data, const char *bytes, size_t len, struct error *err)
{
    struct seen *seen = data;

    (void)bytes;
    (void)err;
    seen->bytes += len;
    if (seen->bytes > BYTES)
        abort();
    return 0;
}

static int take_end(void *data, struct error *err)
{
    struct seen *seen = data;

    (void)err;
    seen->ended++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct unpack_budget budget = {.members = MEMBERS, .bytes = BYTES};
    struct unpack_sink sink = {
        .begin = take_begin, .data_in = take_data, .end = take_end, .data = &seen};
    struct error err = ERROR_INIT;

    if (unpack_may((const char *)data, size) &&
        unpack((const char *)data, size, &budget, &sink, &err) == 0 && seen.begun != seen.ended)
        abort();
    return 0;
}
