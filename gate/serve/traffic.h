/* What the kernel counts of a TCP connection. A file of its own: the C library's <netinet/tcp.h>,
 * which libuv's header brings, knows less of it than the kernel's. */
#ifndef GITGATE_GATE_TRAFFIC_H
#define GITGATE_GATE_TRAFFIC_H

#include <stdint.h>

/* Bytes that came, and bytes that the other side has acknowledged (tcp(7), TCP_INFO); 0 when that
 * can't be told. Whoever reads and writes the socket: serve's copy tells of git daemon's. */
uint64_t traffic_bytes(int fd);

/* Of these the bytes that came. */
uint64_t traffic_received(int fd);

#endif
