/* The process_* samples of Prometheus' client libraries.
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics */
#ifndef GITGATE_METRICS_PROCESS_H
#define GITGATE_METRICS_PROCESS_H

#include "base/buf.h"

/* Appends what can be read of this process; a value that can't be read is left out. */
void process_print(struct buf *out);

#endif
