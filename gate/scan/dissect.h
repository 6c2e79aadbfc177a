/* Content, as all the pieces that a secret may be read from: its bytes as they are, its text in
 * other encodings, without NUL bytes, with encoded parts decoded, and the same of each member when
 * it is an archive. */
#ifndef GITGATE_GATE_DISSECT_H
#define GITGATE_GATE_DISSECT_H

#include "scan/piece.h"
#include "scan/spool.h"
#include "scan/unpack.h"

/* Archives in archives: an ear holds a war holds a jar, in a tar.gz that is two. Deeper is refused:
 * there are files that hold themselves. */
#define DISSECT_DEPTH 8

/* What all archives of one push may come to. */
#define DISSECT_MEMBERS_MAX 200000u
#define DISSECT_BYTES_MAX (1ull << 30)

struct dissection {
    piece_fn *take;
    void *data;
    struct workdir *dir;
    struct unpack_budget budget; /* with the deadline of the whole */
};

/* `where` is any piece of the content's place, object and path; `bytes` is its own afterwards.
 * -ETIMEDOUT past the deadline, -EFBIG past a cap, or what `take` returned below 0. */
int dissect(struct dissection *d, const struct piece *where, struct spool *bytes,
            struct error *err);

/* The same of bytes in memory. */
int dissect_bytes(struct dissection *d, const struct piece *where, const char *data, size_t len,
                  struct error *err);

#endif
