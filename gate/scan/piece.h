/* A piece of a push: bytes in which a secret may sit, and where they come from.
 *
 * Objects are taken apart into pieces (contents.c and the decoders), each piece is looked through
 * at memory speed (find.c), and only what hit goes on to gitleaks (judge.c). Whoever makes pieces
 * calls the receiver for each, one after the other; nothing of a piece outlives the call. */
#ifndef GITGATE_GATE_PIECE_H
#define GITGATE_GATE_PIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Content of any length comes in windows of at most PIECE_MAX bytes, so that memory is bounded.
 * Each window but the first starts with the last PIECE_OVERLAP bytes of the one before: gitleaks
 * itself reads chunks of 100,000 bytes and up to 25,000 more, so nothing that it could find is
 * longer, and all that it could find lies whole in one window. */
#define PIECE_MAX (4u << 20)
#define PIECE_OVERLAP (128u << 10)

/* Where in the push a piece lies. */
enum place {
    PLACE_NONE,
    PLACE_BLOB,   /* content of a file, a symbolic link's target */
    PLACE_COMMIT, /* a commit object: headers and message */
    PLACE_TAG,    /* a tag object */
    PLACE_NAME,   /* the path of a tree's entry */
    PLACE_REF     /* names of refs, push options */
};

/* In decoded bytes: from `at` on they come from line `line` and byte `offset` of the content; byte
 * by byte, or all of them from what begins there (`decoded`). */
struct piece_line {
    uint32_t at;
    unsigned line;
    uint64_t offset : 63;
    uint64_t decoded : 1;
};

struct piece {
    enum place place;
    const char
        *object; /* hex id of the blob, commit or tag; of a name, the tree that holds it; or "" */
    const char *path;   /* of the blob, or of the tree that holds the name: any bytes; "" unknown */
    const char *member; /* inside the blob's archive: "inner.zip!a/b.txt"; "" when not in one */
    const char *form; /* how `data` was made of the bytes: "" as they are, "UTF-16", "base64" ... */
    const char *data;
    size_t len;      /* at most PIECE_MAX */
    uint64_t offset; /* of data[0] in the content (of its form); above 0 in later windows */
    bool recoded;    /* from UTF-16 or the like: bytes of `data` don't count as the content's do */
    unsigned line;   /* of data[0] in the content, from 1 */
    /* Set by decoders that change the number of lines: sorted by `at`, the first is 0. NULL: each
     * line end in `data` is one of the content. */
    const struct piece_line *lines;
    size_t n_lines;
};

/* What takes pieces; anything negative ends the scan, and refuses the push. */
typedef int piece_fn(void *data, const struct piece *piece, struct error *err);

#endif
