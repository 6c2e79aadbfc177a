#include "serve/commands.h"

#include <errno.h>
#include <string.h>

#define DIGITS 4

static const char pack[] = "PACK"; /* no hexadecimal: gitformat-pack(5) */

/* git takes the reserved lengths, too, as ends of a list. */
static bool is_delimiter(const char *data)
{
    return memcmp(data, "000", DIGITS - 1) == 0 && data[DIGITS - 1] >= '1' &&
           data[DIGITS - 1] <= '3';
}

ssize_t commands_take(struct commands *commands, const char *data, size_t len)
{
    size_t done = 0;

    while (len - done >= DIGITS) {
        struct pkt pkt = pkt_parse(data + done, len - done);
        size_t used = pkt.used;

        if (memcmp(data + done, pack, DIGITS) == 0) {
            commands->pack = true;
            break;
        }
        if (pkt.kind == PKT_MORE)
            break;
        if (pkt.kind == PKT_INVALID && !is_delimiter(data + done))
            return -EPROTO;
        if (pkt.kind == PKT_INVALID)
            used = DIGITS;
        done += used;
        commands->bytes += used;
        if (commands->bytes > COMMANDS_BYTES_MAX)
            return -E2BIG;
    }
    return (ssize_t)done;
}

uint32_t commands_objects(const char header[PACK_HEADER])
{
    uint32_t n = 0;

    for (size_t i = PACK_HEADER - 4; i < PACK_HEADER; i++)
        n = n << 8 | (unsigned char)header[i];
    return n;
}
