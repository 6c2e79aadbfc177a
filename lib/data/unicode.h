/* Names of Unicode's properties, as Go's regular expressions take them behind \p. */
#ifndef GITGATE_DATA_UNICODE_H
#define GITGATE_DATA_UNICODE_H

#include <stdbool.h>
#include <stddef.h>

/* "L", "Lu", "Any", "Greek": a general category or a script, in just this spelling. */
bool unicode_property_known(const char *name, size_t len);

#endif
