/* What a client of the git protocol says first (gitprotocol-pack(5), "git transport"): the service
 * and the repository, in one packet. Looked at, not taken: git daemon reads it for itself. Pure. */
#ifndef GITGATE_GATE_REQUEST_H
#define GITGATE_GATE_REQUEST_H

#include <limits.h>
#include <stddef.h>

/* What is looked at: a path and a host name, each as long as they can be. */
#define REQUEST_MAX (2 * PATH_MAX)

enum request_state {
    REQUEST_MORE, /* there is more to come */
    REQUEST_WHOLE,
    REQUEST_STRANGE, /* not what git sends, or too long: git daemon is to say so */
};

struct git_request {
    const char *service; /* "upload-pack" or "receive-pack" */
    char path[PATH_MAX]; /* begins with a slash */
};

/* Reads the first packet of `data`; `request` is filled in when it is whole. */
enum request_state request_read(const char *data, size_t len, struct git_request *request);

#endif
