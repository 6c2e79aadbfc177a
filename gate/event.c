#include "event.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "lock.h"

/* serve reads at once; when it can't, a push must not wait for its log line. */
#define SEND_TIMEOUT_S 2

int event_pair(int *read_end, int *write_end, struct error *err)
{
    struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, -errno, "cannot make a socket for events");
    *read_end = ends[0];
    *write_end = ends[1];
    if (setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0)
        return error_errno(err, -errno, "cannot make a socket for events");
    return 0;
}

static int append(const char *bytes, size_t len, void *into)
{
    buf_add(into, bytes, len);
    return buf_error(into) ? -1 : 0;
}

static bool sent(int fd, const json_t *event)
{
    cleanup_buf struct buf text = BUF_INIT(EVENT_MAX);
    ssize_t n;

    if (fd < 0 || json_dump_callback(event, append, &text, JSON_COMPACT) < 0)
        return false;
    do
        n = send(fd, text.data, text.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)text.len;
}

/* The session is git daemon's: serve made it the leader of one, and its hooks are in it. */
void event_send(const struct gate *gate, const char *phase, uint64_t started_ns, json_t *fields)
{
    json_auto_t *event = json_pack("{s:s, s:i, s:f}", "phase", phase, "session", (int)getsid(0),
                                   "ms", clock_ms_since(started_ns));

    if (!event || !fields || json_object_update_missing(event, fields) < 0)
        log_error(&gate->log, "an event was lost: memory is short", NULL);
    else if (!sent(gate->events, event))
        log_info(&gate->log, phase, json_incref(event));
    json_decref(fields);
}

json_t *event_receive(int read_end)
{
    char text[EVENT_MAX];
    ssize_t n;

    do
        n = recv(read_end, text, sizeof text, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
}
