/* Reads git's objects where they lie, loose and in packs, without git: for an ordinary push git's
 * start is most of what its scan costs. (libgit2 was tried: to load it, with all that it needs,
 * takes longer than git.) Formats: gitformat-pack(5), and gitrepository-layout(5) of loose objects;
 * SHA-1 alone.
 *
 * Who reads falls back to git where this can't tell, so nothing has to be understood: whatever is
 * unusual, damaged or large is an error. What is returned is right: its hash is compared. */
#ifndef GITGATE_GATE_ODB_H
#define GITGATE_GATE_ODB_H

#include <stddef.h>
#include <stdint.h>

#define ODB_ID_LEN 20
#define ODB_OBJECT_MAX (8u << 20) /* bytes of one object */
/* Bytes of all that is read of a folder, deltas and their bases too: no more is ever held. */
#define ODB_INFLATED_MAX (24u << 20)
#define ODB_PACKS_MAX 64u
#define ODB_DEPTH_MAX 64u /* of deltas; git makes 50 */

/* As packs number them. */
enum odb_kind { ODB_COMMIT = 1, ODB_TREE, ODB_BLOB, ODB_TAG };

struct odb_object {
    enum odb_kind kind;
    char *data; /* the caller's, with a NUL behind */
    size_t len;
};

struct odb; /* opaque: a folder of objects */

/* -ENOTSUP: the folder has alternates, or more packs than are looked through. */
int odb_open(const char *folder, struct odb **ret);
void odb_free(struct odb *odb);

/* How many objects its packs have. */
uint64_t odb_packed(const struct odb *odb);

/* 1 or 0; negative when that can't be told. */
int odb_has(struct odb *odb, const uint8_t id[ODB_ID_LEN]);

/* 0, -ENOENT, or another negative errno. */
int odb_read(struct odb *odb, const uint8_t id[ODB_ID_LEN], struct odb_object *ret);

/* Makes of `base` and a delta what the delta describes. 0, or -EINVAL for one
 * that is malformed or makes more than ODB_OBJECT_MAX. */
int odb_apply_delta(const char *base, size_t base_len, const char *delta, size_t len, char **ret,
                    size_t *ret_len);

#endif
