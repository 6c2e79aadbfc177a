/* Counters, gauges and histograms, printed in Prometheus' text format.
 *
 * A registry owns its families; a family owns one series for each set of label values. Every call
 * takes NULL for a registry or a family and then does nothing, so that code that counts needs
 * neither a registry in its tests nor a check for memory that was short at the start.
 *
 * Label values are copied; names, help texts and label names are borrowed and must be literals. A
 * family holds METRIC_SERIES_MAX series: what comes after them is counted under "other", so that
 * nobody who chooses a label's value can make the process grow.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
 * https://prometheus.io/docs/practices/naming/ */
#ifndef GITGATE_METRICS_METRICS_H
#define GITGATE_METRICS_METRICS_H

#include <stddef.h>

#include "base/buf.h"

#define METRIC_SERIES_MAX 1024
#define METRIC_LABELS_MAX 4
#define METRIC_LABEL_VALUE_MAX 128 /* bytes; a longer value is cut */

struct metrics; /* the registry */
struct metric;  /* a family */

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

static inline void cleanup_metrics_(struct metrics **metrics)
{
    metrics_free(*metrics);
}
#define cleanup_metrics CLEANUP(cleanup_metrics_)

/* The values of a family's labels, in the order of their names; NULL where it has no labels. */
#define LABELS(...) ((const char *const[METRIC_LABELS_MAX + 1]){__VA_ARGS__})

/* `labels` are the names: LABELS("method", "code"), or NULL. A family without labels is printed
 * from the start, with 0. Families are printed in the order in which they were made. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                               const char *const *labels);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                             const char *const *labels);

/* `bounds` are the n upper bounds of the buckets, rising, without +Inf; borrowed. */
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const char *const *labels, const double *bounds, size_t n);

/* 1 ms to 10 s, for latencies in seconds. */
#define METRICS_SECONDS_N 13
extern const double metrics_seconds[METRICS_SECONDS_N];

void metric_add(struct metric *metric, double value, const char *const *values);     /* counter */
void metric_set(struct metric *metric, double value, const char *const *values);     /* gauge */
void metric_observe(struct metric *metric, double value, const char *const *values); /* histogram */

/* Forgets a series, for a label value whose subject is gone. */
void metric_drop(struct metric *metric, const char *const *values);

/* `collect` is called before each print, to set the gauges whose values lie elsewhere. */
void metrics_on_print(struct metrics *metrics, void (*collect)(void *data), void *data);

/* Appends all families, and the process_* ones that Prometheus' client libraries have: CPU, memory,
 * file descriptors, start time. buf_error tells whether all found room. */
void metrics_print(struct metrics *metrics, struct buf *out);

#endif
