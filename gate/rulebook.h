/* All rules that a GitGate scans by: gitleaks' own, which lie in this program, and its
 * spec.scan.rules compiled beside them and kept below the repositories. */
#ifndef GITGATE_GATE_RULEBOOK_H
#define GITGATE_GATE_RULEBOOK_H

#include "base/buf.h"
#include "gate.h"
#include "rules.h"

/* Below the repositories, where it outlives the scan that compiled. */
#define RULES_DIR ".gitgate-rules"

#define RULEBOOK_SETS 2

struct rulebook {
    struct rules sets[RULEBOOK_SETS]; /* gitleaks' first */
    struct buf blocks[RULEBOOK_SETS]; /* of those that are not in the program */
    size_t n;
    uint8_t key[RULES_KEY_LEN]; /* of all of them */
};

#define cleanup_rulebook __attribute__((cleanup(rulebook_done)))

/* Compiles what has not been, by gitgate-rules. Zeroed by the caller; rulebook_done in any case. */
int rulebook_open(const struct gate *gate, struct rulebook *ret, struct error *err);
void rulebook_done(struct rulebook *book);

#endif
