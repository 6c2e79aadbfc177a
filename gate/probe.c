/* probe: whether the gate accepts connections, for the kubelet. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "address.h"
#include "base/cleanup.h"
#include "gate.h"
#include "verbs.h"

#define TIMEOUT_S 2 /* on loopback it takes microseconds */

static int connect_to(const struct sockaddr_storage *address)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    cleanup_close int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
        return -errno;
    return 0;
}

int verb_probe(int argc, char **argv)
{
    cleanup_gate struct gate gate = {0};
    struct sockaddr_storage address;
    struct error err = ERROR_INIT;
    int r;

    (void)argc;
    (void)argv;
    r = gate_open(&gate, &err);
    if (r == 0)
        r = address_parse(gate.listen, &address, &err);
    if (r == 0) {
        r = connect_to(&address);
        if (r < 0)
            error_errno(&err, r, "%s", gate.listen);
    }
    if (r < 0)
        fprintf(stderr, "gitgate-gate: %s\n", err.msg);
    return r < 0;
}
