/* Key material is overwritten when it is freed, wherever it went on its way.
 *
 * The controller only passes credentials on, through jansson's strings and parser, libcurl's
 * buffers and OpenSSL's. Wiping each by hand would miss the copies that these make, so their frees
 * wipe. */
#ifndef GITGATE_CONTROLLER_WIPE_H
#define GITGATE_CONTROLLER_WIPE_H

#include "base/error.h"

/* Before any other call into these libraries. */
int wipe_on_free(struct error *err);

#endif
