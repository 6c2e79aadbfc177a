/* Rules made ready for the finder: what gitgate-rules writes and gitgate-gate reads.
 *
 * One block of bytes: this header, a JSON object that says what the rules are (`struct rule`), the
 * database that Vectorscan finds their regular expressions by, and one for all path conditions.
 * gitleaks' own rules lie in the program; a GitGate's are compiled when they change, and kept. */
#ifndef GITGATE_GATE_RULES_H
#define GITGATE_GATE_RULES_H

#include <hs/hs_runtime.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "data/expression.h"

#define RULES_MAGIC "gitgate\x02"
#define RULES_BYTES_MAX (64u << 20)
#define RULES_KEY_LEN                                                                              \
    32 /* SHA-256 of databases, rules and configuration: sets of one key find and judge the same   \
        */

struct rules_header {
    char magic[8];
    uint64_t meta_len, db_len, paths_len; /* what follows, in this order; 0: there is none */
    uint8_t key[RULES_KEY_LEN];
    uint8_t everything; /* some rule can't be found by Vectorscan: all content is to be judged */
    char marker; /* letter of the path markers: sets that are used together have different ones */
    uint8_t padding[6];
};

#define PATH_PATTERNS_MAX 1000 /* of one set */
#define PATH_DECIDES                                                                               \
    (1u << 16) /* in a pattern's id: of a rule that looks at nothing but the path */

struct rule {
    const char *id;
    const json_t *keywords; /* lower case; gitleaks applies the rule only where one is near */
    struct reach reach;
    bool whole; /* looks at more than its match: what is judged is the whole piece */
    /* The finder's: where in the piece `serial` a keyword stands, and how far it has searched. */
    uint64_t serial;
    size_t searched, word_at;
    const char *word;
};

struct rules {
    hs_database_t *db, *paths; /* NULL: there is none */
    bool everything;
    char marker;
    uint8_t key[RULES_KEY_LEN];
    const char *meta; /* borrowed from the block */
    size_t meta_len;
    /* read at the first hit: rules_detail */
    json_t *detail;
    struct rule *list;
    size_t n;
};

#define cleanup_rules __attribute__((cleanup(rules_done)))

/* Loads a block, which must stay as long as the rules. -ENOTSUP when it was made by another version
 * of Vectorscan or for another kind of processor, and has to be made anew: of its "source", which
 * rules_detail reads even then. rules_done in either case. */
int rules_open(const void *block, size_t len, struct rules *ret, struct error *err);
void rules_done(struct rules *rules);

/* Fills in `list`: what is only needed once something hit. */
int rules_detail(struct rules *rules, struct error *err);

/* The rule's part of gitleaks' configuration, or the global allow lists that came with the rules
 * ("" when there are none). Needs rules_detail. */
const json_t *rules_source(const struct rules *rules);
const char *rules_judge(const struct rules *rules);
const char *rules_allowlists(const struct rules *rules);

#endif
