/* git's pkt-line framing (gitprotocol-common(5)): four hex digits of length, then the payload. */
#ifndef GITGATE_GATE_PKTLINE_H
#define GITGATE_GATE_PKTLINE_H

#include <stddef.h>

#include "base/buf.h"

#define PKT_PAYLOAD_MAX 65516 /* LARGE_PACKET_MAX less its own four digits */

enum pkt_kind {
    PKT_MORE,    /* not whole yet */
    PKT_DATA,    /* a line, perhaps an empty one */
    PKT_FLUSH,   /* 0000 */
    PKT_INVALID, /* not hexadecimal, a reserved length, or longer than git allows */
};

struct pkt {
    enum pkt_kind kind;
    const char *data; /* into the input; without one final newline, as senders may add it */
    size_t len;
    size_t used; /* bytes of the input that belong to it */
};

/* The packet at the start of `data`; nothing is copied. */
struct pkt pkt_parse(const char *data, size_t len);

/* Appends a packet; the buffer's error is -EMSGSIZE for a payload that no packet can hold. */
void pkt_add(struct buf *to, const char *data, size_t len);
__attribute__((format(printf, 2, 3))) void pkt_addf(struct buf *to, const char *fmt, ...);
void pkt_flush(struct buf *to);

#endif
