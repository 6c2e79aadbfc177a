/* What the API server's calls mean: each path's decision, its answer and its log line. */
#ifndef GITGATE_WEBHOOK_ADMISSION_H
#define GITGATE_WEBHOOK_ADMISSION_H

#include "base/log.h"
#include "gates.h"
#include "kube/client.h"
#include "server.h"

struct admission {
    struct gates *gates;
    struct kube_client *client;
    struct parts_options parts;
    const struct log *log;
};

#define ADMISSION_ROUTES_MAX 6

/* The server's routes, each with `admission` (which must live as long) behind it. */
void admission_routes(struct admission *admission, struct server_route ret[ADMISSION_ROUTES_MAX]);

/* For /readyz: `data` is the admission. */
bool admission_ready(void *data);

#endif
