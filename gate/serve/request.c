#include "serve/request.h"

#include <string.h>

#include "pktline.h"

static const char *const services[] = {"upload-pack", "receive-pack"};

#define PREFIX "git-"

/* "git-upload-pack /app.git\0host=127.0.0.1\0" */
static enum request_state take(const struct pkt *pkt, struct git_request *request)
{
    size_t len = strnlen(pkt->data, pkt->len);
    const char *space = memchr(pkt->data, ' ', len), *path = space ? space + 1 : NULL;
    size_t path_len = path ? (size_t)(pkt->data + len - path) : 0;
    size_t prefix = strlen(PREFIX);

    if (path_len == 0 || path_len >= sizeof request->path || path[0] != '/' ||
        (size_t)(space - pkt->data) <= prefix || memcmp(pkt->data, PREFIX, prefix) != 0)
        return REQUEST_STRANGE;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        size_t service_len = strlen(services[i]);

        if ((size_t)(space - pkt->data) != prefix + service_len ||
            memcmp(pkt->data + prefix, services[i], service_len) != 0)
            continue;
        request->service = services[i];
        memcpy(request->path, path, path_len);
        request->path[path_len] = '\0';
        return REQUEST_WHOLE;
    }
    return REQUEST_STRANGE;
}

enum request_state request_read(const char *data, size_t len, struct git_request *request)
{
    struct pkt pkt = pkt_parse(data, len);

    switch (pkt.kind) {
    case PKT_MORE:
        return len < REQUEST_MAX ? REQUEST_MORE : REQUEST_STRANGE;
    case PKT_DATA:
        return take(&pkt, request);
    default:
        return REQUEST_STRANGE;
    }
}
