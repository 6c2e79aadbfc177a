/* Objects that were found clean, so that a push that is made again, less what it was refused for,
 * is not read again.
 *
 * One table of a fixed size for all repositories, a slot for each hash of an object's id and path,
 * of the compiled rules and of this very program: others find nothing in it, and overwrite it. What
 * is lost or torn is read again. */
#ifndef GITGATE_GATE_CLEAN_H
#define GITGATE_GATE_CLEAN_H

#include <stdbool.h>

#include "scan/rulebook.h"

/* Below the repositories. */
#define CLEAN_FILE ".gitgate-clean"

#define CLEAN_ENTRY 16         /* bytes of a SHA-256 */
#define CLEAN_SLOTS (1u << 18) /* 4 MiB; a large push has 100,000 objects */

#define CLEAN_KEY_LEN 32 /* SHA-256 */

struct clean {
    uint8_t (*table)[CLEAN_ENTRY]; /* NULL: there is none, and nothing is known */
    uint8_t key[CLEAN_KEY_LEN];
};

/* What was opened on the way to the verdict: nothing, or what libarchive made of it, too, which
 * holds for that version of it alone. */
enum clean_by { CLEAN_AS_IT_IS, CLEAN_BY_LIBARCHIVE };

#define CLEAN_INIT ((struct clean){0})

/* What verdicts hold for: these rules as this program applies them. `program` is its build id,
 * which changes with any of its code. */
void clean_key(const uint8_t rules[RULES_KEY_LEN], const void *program, size_t len,
               uint8_t to[CLEAN_KEY_LEN]);

/* Only a matter of speed: where there is no room for it the scan goes without. */
void clean_open(const struct gate *gate, const struct rulebook *book, struct clean *ret);
void clean_done(struct clean *clean);

/* `object` is "<id>" or "<id> <path>": where it lies decides what rules apply. */
bool clean_has(const struct clean *clean, const char *object);
void clean_add(struct clean *clean, const char *object, enum clean_by by);

#endif
