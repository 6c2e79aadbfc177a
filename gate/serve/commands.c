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

/* In the place of the commands; its own lines are packets like theirs. */
static bool is_certificate(const struct pkt *pkt)
{
    static const char word[] = "push-cert";
    size_t len = strnlen(pkt->data, pkt->len); /* what the client can do stands behind a NUL */

    return len == sizeof word - 1 && memcmp(pkt->data, word, len) == 0;
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
        if (pkt.kind != PKT_DATA)
            commands->listed = true;
        else if (!commands->listed && is_certificate(&pkt))
            return -EPROTO;
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
