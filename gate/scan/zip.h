/* A zip file as its directory has it (APPNOTE.TXT 4.3): what Python, Go and Java read.
 *
 * A member's size, method and flags stand twice, before it and in the directory, and nothing makes
 * them agree; libarchive believes what stands before it. So what is handed on has its own header
 * anew, as the directory says, and is a zip file of one member: one that is damaged hides no other,
 * nor does one that is called encrypted and isn't. */
#ifndef GITGATE_GATE_ZIP_H
#define GITGATE_GATE_ZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define ZIP_LOCAL_LEN 30

struct zip_member {
    char header[ZIP_LOCAL_LEN];
    const char *name; /* no more than the header says */
    size_t name_len;
    const char *bytes; /* as they are packed; NULL where the directory names a place without any */
    size_t len;
};

/* A negative result ends the reading and is returned. */
typedef int zip_fn(void *data, const struct zip_member *member, struct error *err);

/* Whether the bytes begin as a zip file does. */
bool zip_begins(const char *data, size_t len);

/* Whether a directory's end stands where one may: before nothing but a comment. */
bool zip_ends(const char *data, size_t len);

/* Each member of each directory that some program may take for the file's: programs differ in which
 * end they look for, and in what places count from where something stands before the file. So one
 * may come several times; who takes them bounds their number. Names are cut at `name_max`. */
int zip_each(const char *data, size_t len, size_t name_max, zip_fn *fn, void *to,
             struct error *err);

#endif
