/* "host:port" with a literal address: what the gate listens on. */
#ifndef GITGATE_GATE_ADDRESS_H
#define GITGATE_GATE_ADDRESS_H

#include <sys/socket.h>

#include "base/error.h"

/* "127.0.0.1:9418" or "[::1]:9418"; port 0 takes a free one. */
int address_parse(const char *text, struct sockaddr_storage *ret, struct error *err);

#endif
