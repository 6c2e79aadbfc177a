/* JSON objects into C structures by tables: types, required fields, bounds, defaults, and every
 * problem at once with its field path.
 *
 *     static const struct field ref_fields[] = {
 *         FIELD("name", STRING, FIELD_AT(struct x, name), .flags = FIELD_REQUIRED),
 *         FIELD_END,
 *     };
 *
 * A nested object's fields go into the same structure as the object itself: tables nest as the
 * document does, structures need not. */
#ifndef GITGATE_DATA_DECODE_H
#define GITGATE_DATA_DECODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "data/problems.h"

enum field_type {
    FIELD_NONE,     /* ends a table */
    FIELD_STRING,   /* const char *, borrowed */
    FIELD_BOOL,     /* bool */
    FIELD_CHOICE,   /* an enum: index into `choices` */
    FIELD_SWITCH,   /* bool: whether it is choices[1] rather than choices[0] */
    FIELD_INTEGER,  /* uint64_t within min..max */
    FIELD_BYTES,    /* uint64_t within min..max: a quantity ("512Mi") or a whole number */
    FIELD_QUANTITY, /* const char *, borrowed: the same, kept as text */
    FIELD_DURATION, /* uint64_t milliseconds within min..max: "120s" */
    FIELD_STRINGS,  /* const char **, NULL-terminated: free() it; strings borrowed */
    FIELD_MAP,      /* json_t *, borrowed: an object whose values are strings */
    FIELD_OBJECT,   /* json_t *, borrowed; `fields` say what is in it (NULL: anything) */
    FIELD_ARRAY,    /* objects, see item_size */
};

#define FIELD_REQUIRED (1u << 0)
#define FIELD_MAY_BE_EMPTY (1u << 1) /* "" is a value; else an empty string is a problem */
#define FIELD_QUOTES (1u << 2)       /* may hold a single quote: never reaches a script */
#define FIELD_OPEN (1u << 3)         /* an object whose other fields are nobody's business */
#define FIELD_FILE (1u << 4)         /* a file's content: any characters, up to FIELD_FILE_MAX */

#define FIELD_NOWHERE ((size_t)-1) /* checked, not stored */
#define FIELD_AT(type, member) offsetof(type, member)
#define FIELD(name_, type_, offset_, ...)                                                          \
    {                                                                                              \
        .name = name_, .type = FIELD_##type_, .offset = offset_, __VA_ARGS__                       \
    }
#define FIELD_END                                                                                  \
    {                                                                                              \
        .type = FIELD_NONE                                                                         \
    }

#define FIELD_STRING_MAX 4096     /* bytes, where a table names no other bound */
#define FIELD_FILE_MAX (1u << 20) /* what a Secret or ConfigMap may hold */
#define FIELD_ITEMS_MAX 1000      /* of arrays and maps, likewise */

/* 0, or negative with a sentence that follows the path: "must be ...". */
typedef int field_check(const char *text, struct error *err);

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    unsigned flags;
    const char *value;          /* the default, as JSON text; NULL: none */
    const struct field *fields; /* of an object, or of an array's items */
    const char *const *choices; /* NULL-terminated */
    field_check *check;         /* of a string, of each of several, of a map's values */
    field_check *check_key;     /* of a map's keys */
    uint64_t min, max;          /* of a number; of a string's bytes, an array's items */
    size_t item_size;           /* FIELD_ARRAY: 0 stores the json_t * (borrowed); else an array of
                                   such structures is allocated (free() it) ... */
    size_t count_offset;        /* ... and their number stored here, as size_t */
};

/* Decodes `object` into `to` (zeroed by the caller). Fields that are null or missing get their
 * default, written into `object` too; so `object` is complete afterwards, and what `to` borrows
 * lives as long as it. Unknown fields are problems when `strict`. 0, -EINVAL when problems were
 * added, -ENOMEM. What was allocated in `to` stays there in any case, for the caller's own done
 * function. */
int decode_object(json_t *object, const struct field *fields, bool strict, void *to,
                  struct problems *problems);

#endif
