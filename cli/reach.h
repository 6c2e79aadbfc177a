/* Connects to an upstream, and says nothing: name, port and TLS, each told apart. */
#ifndef GITGATE_CLI_REACH_H
#define GITGATE_CLI_REACH_H

#include "finding.h"

/* For ssh a TCP connection, for https TLS on it; bounded. `address`: instead of asking the resolver
 * (extraHosts), or NULL. `ca`: a file of certificates instead of the system's, or NULL. Several
 * threads may do this at once, when curl_global_init was called before. */
void reach(const struct url *url, const char *address, const char *ca, struct reach *ret);

#endif
