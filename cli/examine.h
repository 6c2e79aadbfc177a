/* Goes the gate's way to one upstream, step by step up to the first that fails. */
#ifndef GITGATE_CLI_EXAMINE_H
#define GITGATE_CLI_EXAMINE_H

#include "finding.h"
#include "gate.h"

/* Makes the upstream's repository below gate->repos_dir, as the gate would, and nothing elsewhere:
 * a push is begun with --dry-run only. Takes at most two minutes. Several threads may do this at
 * once, for upstreams of their own. */
void examine(const struct gate *gate, const struct upstream *upstream, struct finding *ret);

#endif
