/* What odb.c, inflate.c and pack.c share. */
#ifndef GITGATE_GATE_ODB_IMPL_H
#define GITGATE_GATE_ODB_IMPL_H

#include <zlib.h>

#include "walk/odb.h"

struct pack {
    int idx, pack; /* descriptors */
    uint64_t idx_len, pack_len;
    uint32_t n;
};

struct odb {
    int folder;
    struct pack packs[ODB_PACKS_MAX];
    size_t n;
    z_stream stream;
    uint64_t left; /* that may be inflated */
};

/* ---- inflate.c ---- */

#define INFLATE_CHUNK 16384

/* Where a zlib stream is read from. */
struct source {
    int fd;
    uint64_t at;
    uint8_t chunk[INFLATE_CHUNK];
};

int inflate_begin(struct odb *odb);

/* Up to `len` bytes, fewer where the stream ends: Z_STREAM_END or Z_OK, or a negative errno. */
int inflate_some(struct odb *odb, struct source *from, char *to, size_t len, size_t *got);

/* The rest of a stream, which has `len` bytes, neither more nor less. */
int inflate_rest(struct odb *odb, struct source *from, char *to, size_t len);

/* Room for an object, with a NUL behind; NULL when that is too large. */
char *odb_room(size_t len);

/* ---- pack.c ---- */

/* `name` ends with ".idx". What is open is in `pack`, also after an error. */
int pack_open(int folder, const char *name, struct pack *pack);

/* Where the object begins: 1, 0 when it isn't there, or a negative errno. */
int pack_find(const struct pack *pack, const uint8_t *id, uint64_t *offset);

int pack_read(struct odb *odb, const struct pack *pack, uint64_t offset, struct odb_object *ret);

#endif
