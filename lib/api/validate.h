/* What a GitGate's fields must be to each other; each field by itself is the tables' business. */
#ifndef GITGATE_API_VALIDATE_H
#define GITGATE_API_VALIDATE_H

#include "api/gitgate.h"

/* Parses each upstream's URL into its structure, sets its `auth`, and adds what is wrong to
 * `problems`. The gate may be incomplete: fields with problems of their own are NULL. */
void gitgate_validate(struct gitgate *gate, struct problems *problems);

#endif
