/* probe: whether the gate accepts connections, for the kubelet; with --wait, until it does: for the
 * postStart hook of a gate that is an ordinary container, which the other containers wait for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "base/cleanup.h"
#include "gate.h"
#include "verbs.h"

#define TIMEOUT_S 2 /* on loopback it takes microseconds */
#define WAIT_TRIES 600
#define WAIT_BETWEEN_NS 100000000 /* with the tries above a minute, as the startupProbe has */

static int connect_to(const struct sockaddr_storage *address)
{
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    cleanup_close int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0 ||
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
        return -errno;
    return 0;
}

static int probe(struct error *err)
{
    cleanup_gate struct gate gate = {0};
    struct sockaddr_storage address;
    int r = gate_open(&gate, err);

    if (r == 0)
        r = address_parse(gate.listen, &address, err);
    if (r < 0)
        return r;
    r = connect_to(&address);
    return r < 0 ? error_errno(err, r, "%s", gate.listen) : 0;
}

static int wait_for_it(struct error *err)
{
    const struct timespec between = {.tv_nsec = WAIT_BETWEEN_NS};
    int r = probe(err);

    for (int i = 1; r < 0 && i < WAIT_TRIES; i++) {
        nanosleep(&between, NULL);
        r = probe(err);
    }
    return r;
}

int verb_probe(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    bool wait = argc == 2 && strcmp(argv[1], "--wait") == 0;
    int r = wait ? wait_for_it(&err) : probe(&err);

    if (r < 0)
        fprintf(stderr, "gitgate-gate: %s\n", err.msg);
    return r < 0;
}
