/* What is allowed in a GitGate but seldom meant: told as admission warnings, which kubectl prints.
 */
#ifndef GITGATE_WEBHOOK_ADVICE_H
#define GITGATE_WEBHOOK_ADVICE_H

#include "api/gitgate.h"
#include "data/document.h"

/* `old` is the object before an update, with the controller's last word in its status; or NULL. The
 * webhook reads no Secret: it has no right to. */
void advise(const struct gitgate *gate, const struct node *old, struct problems *warnings);

#endif
