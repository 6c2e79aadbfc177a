/* From rules to the configuration that gitleaks judges by.
 *
 * It never sees a path of the push: which path patterns match is decided here and in the finder,
 * and told by a marker in the name of the file that is judged (".p7."). So each pattern that looks
 * at a path, be it a rule's or an allow list's, becomes one for its marker. */
#ifndef GITGATE_RULES_JUDGEMENT_H
#define GITGATE_RULES_JUDGEMENT_H

#include <jansson.h>

#include "base/buf.h"

/* `patterns` collects them: {"pattern": text, "ofRule": bool, "decides": bool}; marker n stands for
 * the n-th. */
struct markers {
    char letter;
    json_t *patterns;
};

void judgement_add_rule(struct buf *to, const json_t *rule, const struct markers *markers);
void judgement_add_allowlists(struct buf *to, const char *table, const json_t *allowlists,
                              const struct markers *markers);

#endif
