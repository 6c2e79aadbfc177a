#include "serve/traffic.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct tcp_info read_info(int fd)
{
    struct tcp_info info = {0}; /* an older kernel fills less of it */
    socklen_t len = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return (struct tcp_info){0};
    return info;
}

uint64_t traffic_bytes(int fd)
{
    struct tcp_info info = read_info(fd);

    return info.tcpi_bytes_received + info.tcpi_bytes_acked;
}

uint64_t traffic_received(int fd)
{
    return read_info(fd).tcpi_bytes_received;
}
