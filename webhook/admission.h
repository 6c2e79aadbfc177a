/* What the API server's calls mean: each path's decision, its answer and its log line. */
#ifndef GITGATE_WEBHOOK_ADMISSION_H
#define GITGATE_WEBHOOK_ADMISSION_H

#include "base/log.h"
#include "gates.h"
#include "lookups.h"
#include "metrics/metrics.h"
#include "parts.h"
#include "server.h"

struct admission {
    struct gates *gates;
    struct lookups *lookups;
    struct parts_options parts;
    const struct log *log;
    struct metric *requests, *duration, *refusals; /* see admission_metrics; may be NULL */
};

/* Makes the families that admissions are counted in. */
void admission_metrics(struct admission *admission, struct metrics *metrics);

#define ADMISSION_ROUTES_MAX 6

/* The server's routes, each with `admission` (which must live as long) behind it. */
void admission_routes(struct admission *admission, struct server_route ret[ADMISSION_ROUTES_MAX]);

/* All GitGates are known. */
bool admission_ready(const struct admission *admission);

#endif
