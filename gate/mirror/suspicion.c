#include "mirror/suspicion.h"

#include <stddef.h>
#include <string.h>

#include "words.h"

/* fsck.c: 1 is a broken object or one that is found fault with, 2 and 4 are one that is missing,
 * and a pack with a broken one; the others (a ref, an index) and 128 are what a whole repository
 * has not got. */
#define FSCK_ERROR_OBJECT 1
#define FSCK_ERRORS_OF_OBJECTS (FSCK_ERROR_OBJECT | 2 | 4)

static const char *const suspicious[] = {
    "not a git repository",
    "bad config",
    "orrupt", /* corrupt, Corrupt */
    "bad object",
    "bad tree object",
    "broken ref",
    "reference broken",
    "unable to resolve reference",
    "invalid sha1 pointer",
    "does not point to a valid object",
    "did not send all necessary objects", /* or we have not got what our refs say that we have */
    "object file ",
    "loose object ",
    "unable to read ",
    "unable to unpack ",
    "ould not read ", /* an object; of an upstream it says "from remote repository" */
    "failed to read object",
    "missing blob",
    "missing tree",
    "missing commit",
    "missing object",
    "inflate",
    "packfile ",
    "pack index",
    "index-pack died",
    "unresolved delta",
    "bad shallow line",
    "unterminated line in ", /* packed-refs */
    "unexpected line in ",
};

/* What a machine that is short of something has git say. Of more than a word each: no ref, which
 * git names in what it says, has a space in its name. */
static const char *const innocent[] = {
    "ut of memory",     "llocate memory",
    "virtual memory",   "memory exhausted",
    "mmap failed",      "No space left",
    "quota exceeded",   "Too many open files",
    "ermission denied", "Resource temporarily unavailable",
};

static const char *const theirs[] = {"from remote repository",
                                     "does not appear to be a git repository"};

static bool has_any(const char *line, size_t len, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memmem(line, len, words[i], strlen(words[i])))
            return true;
    return false;
}

#define HAS_ANY(line, len, words) has_any(line, len, words, sizeof(words) / sizeof *(words))

static bool begins(const char *line, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

bool damage_suspected(const char *said)
{
    bool found = false;

    for (struct words words = WORDS_INIT(said); words_next(&words);) {
        if (HAS_ANY(words.line, words.len, theirs))
            continue;
        if (HAS_ANY(words.line, words.len, innocent))
            return false;
        found = found || HAS_ANY(words.line, words.len, suspicious);
    }
    return found;
}

/* fsck quotes what is in objects, which is anybody's word: a tag may be called "Permission denied".
 */
static const char *const quotes[] = {"error in ", "warning in ", "error: unknown tag type "};

static bool begins_any(const char *line, size_t len, const char *const *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (begins(line, len, with[i]))
            return true;
    return false;
}

#define BEGINS_ANY(line, len, with) begins_any(line, len, with, sizeof(with) / sizeof *(with))

bool fsck_tells_damage(int exit_code, const char *said)
{
    bool found = (exit_code & ~FSCK_ERROR_OBJECT) != 0;

    for (const char *line = said, *end; *line; line = *end ? end + 1 : end) {
        size_t len = strcspn(line, "\n\r");

        end = line + len;
        if (!BEGINS_ANY(line, len, quotes) && HAS_ANY(line, len, innocent))
            return false;
        found = found || begins(line, len, "error: ") || begins(line, len, "fatal: ");
    }
    return found && exit_code != 0;
}

/* An object is what its name says that it is, whoever sent it. */
static const char *const certain[] = {"error: hash mismatch for ", "error: packed "};

bool fsck_leaves_doubt(int exit_code, const char *said)
{
    bool doubt = (exit_code & ~FSCK_ERRORS_OF_OBJECTS) == 0;

    for (const char *line = said, *end; *line; line = *end ? end + 1 : end) {
        size_t len = strcspn(line, "\n\r");

        end = line + len;
        doubt = doubt && !BEGINS_ANY(line, len, certain);
    }
    return doubt;
}
