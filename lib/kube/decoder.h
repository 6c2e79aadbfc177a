/* The watch stream's framing: JSON documents, one a line, in pieces as the network cut them.
 *
 * Pure: bytes in any split (one at a time, in the middle of a character) give the same events. */
#ifndef GITGATE_KUBE_DECODER_H
#define GITGATE_KUBE_DECODER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "data/document.h"

/* An object can have 1.5 MiB in etcd. One that grows past this when its strings are escaped (a byte
 * may become six) was made to: several watches read at once, in 128 MiB. */
#define KUBE_LINE_MAX (4u << 20)

/* Takes a document's root, good for the call; a negative errno stops the decoder and is returned by
 * feed. */
typedef int (*kube_line_fn)(void *data, const struct node *document, struct error *err);

/* Takes a line that can't be read, as it came, or what of it has room. A negative errno stops the
 * decoder. */
typedef int (*kube_broken_fn)(void *data, char *text, size_t len, const struct error *why,
                              struct error *err);

struct kube_decoder {
    struct buf line; /* what has come of the present line */
    bool cut;        /* and more than has room */
    kube_line_fn emit;
    kube_broken_fn broken; /* NULL: such a line stops the decoder */
    void *data;
};

#define KUBE_DECODER_INIT(line_max, emit_fn, emit_data)                                            \
    ((struct kube_decoder){.line = BUF_INIT(line_max), .emit = (emit_fn), .data = (emit_data)})

void kube_decoder_done(struct kube_decoder *decoder);

/* -E2BIG for a line past its cap, -EBADMSG for one that isn't a JSON object, unless `broken` takes
 * them; -ENOMEM. */
int kube_decoder_feed(struct kube_decoder *decoder, const char *bytes, size_t len,
                      struct error *err);

/* Forgets a line that was begun (the stream was cut there). */
void kube_decoder_reset(struct kube_decoder *decoder);

#endif
