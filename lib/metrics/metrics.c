#include "metrics/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/process.h"

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kinds[] = {"counter", "gauge", "histogram"};

struct series {
    struct series *next;
    char *values[METRIC_LABELS_MAX];
    double value;     /* of a histogram: the sum */
    uint64_t count;   /* of a histogram */
    uint64_t *bucket; /* of a histogram: not cumulated */
};

/* As long as any value may be: strndup and strncmp are told that bound. */
static const char other[METRIC_LABEL_VALUE_MAX + 1] = "other";

struct metric {
    struct metric *next;
    enum kind kind;
    const char *name, *help;
    const char *labels[METRIC_LABELS_MAX];
    size_t n_labels;
    const double *bounds;
    size_t n_bounds;
    struct series *series, **end;
    size_t n_series;
};

struct metrics {
    struct metric *families, **end;
    void (*collect)(void *data);
    void *data;
};

const double metrics_seconds[METRICS_SECONDS_N] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25,  0.5,    1,     2.5,  5,     10};

/* ---- Families and their series ------------------------------------------------------------ */

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics)
        metrics->end = &metrics->families;
    return metrics;
}

static void free_series(struct series *series)
{
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
        free(series->values[i]);
    free(series->bucket);
    free(series);
}

void metrics_free(struct metrics *metrics)
{
    struct metric *metric;
    struct series *series;

    while (metrics && (metric = metrics->families)) {
        metrics->families = metric->next;
        while ((series = metric->series)) {
            metric->series = series->next;
            free_series(series);
        }
        free(metric);
    }
    free(metrics);
}

/* Appends a series with these values, or with "other" in each place where values is NULL. */
static struct series *add_series(struct metric *metric, const char *const *values)
{
    struct series *series = calloc(1, sizeof *series);
    bool ok = series;

    for (size_t i = 0; ok && i < metric->n_labels; i++)
        ok = (series->values[i] = strndup(values ? values[i] : other, METRIC_LABEL_VALUE_MAX));
    if (ok && metric->kind == HISTOGRAM)
        ok = (series->bucket = calloc(metric->n_bounds + 1, sizeof *series->bucket));
    if (!ok) {
        if (series)
            free_series(series);
        return NULL;
    }
    *metric->end = series;
    metric->end = &series->next;
    metric->n_series++;
    return series;
}

static bool is_series(const struct metric *metric, const struct series *series,
                      const char *const *values)
{
    for (size_t i = 0; i < metric->n_labels; i++)
        if (strncmp(series->values[i], values ? values[i] : other, METRIC_LABEL_VALUE_MAX) != 0)
            return false;
    return true;
}

static struct series **find_series(struct metric *metric, const char *const *values)
{
    struct series **at = &metric->series;

    while (*at && !is_series(metric, *at, values))
        at = &(*at)->next;
    return at;
}

/* The series of these values; past the cap, the one of all others. NULL when memory is short. */
static struct series *series_of(struct metric *metric, const char *const *values)
{
    struct series *series;

    if (!metric)
        return NULL;
    series = *find_series(metric, values);
    if (series)
        return series;
    if (metric->n_series < METRIC_SERIES_MAX)
        return add_series(metric, values);
    series = *find_series(metric, NULL);
    return series ? series : add_series(metric, NULL);
}

static struct metric *add_family(struct metrics *metrics, enum kind kind, const char *name,
                                 const char *help, const char *const *labels, const double *bounds,
                                 size_t n_bounds)
{
    struct metric *metric = metrics ? calloc(1, sizeof *metric) : NULL;

    if (!metric)
        return NULL;
    metric->kind = kind;
    metric->name = name;
    metric->help = help;
    metric->bounds = bounds;
    metric->n_bounds = n_bounds;
    metric->end = &metric->series;
    for (; labels && labels[metric->n_labels]; metric->n_labels++)
        metric->labels[metric->n_labels] = labels[metric->n_labels];
    if (metric->n_labels == 0)
        add_series(metric, NULL);
    *metrics->end = metric;
    metrics->end = &metric->next;
    return metric;
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                               const char *const *labels)
{
    return add_family(metrics, COUNTER, name, help, labels, NULL, 0);
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                             const char *const *labels)
{
    return add_family(metrics, GAUGE, name, help, labels, NULL, 0);
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const char *const *labels, const double *bounds, size_t n)
{
    return add_family(metrics, HISTOGRAM, name, help, labels, bounds, n);
}

/* ---- Values ------------------------------------------------------------------------------- */

void metric_add(struct metric *metric, double value, const char *const *values)
{
    struct series *series = series_of(metric, values);

    if (series)
        series->value += value;
}

void metric_set(struct metric *metric, double value, const char *const *values)
{
    struct series *series = series_of(metric, values);

    if (series)
        series->value = value;
}

void metric_observe(struct metric *metric, double value, const char *const *values)
{
    struct series *series = series_of(metric, values);
    size_t i = 0;

    if (!series)
        return;
    while (i < metric->n_bounds && value > metric->bounds[i])
        i++;
    series->bucket[i]++;
    series->count++;
    series->value += value;
}

void metric_drop(struct metric *metric, const char *const *values)
{
    struct series **at, *series;

    if (!metric)
        return;
    at = find_series(metric, values);
    series = *at;
    if (!series)
        return;
    *at = series->next;
    if (metric->end == &series->next)
        metric->end = at;
    metric->n_series--;
    free_series(series);
}

/* ---- Text --------------------------------------------------------------------------------- */

static void print_escaped(struct buf *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            buf_adds(out, "\\n");
        else if (*text == '\\' || *text == '"')
            buf_addf(out, "\\%c", *text);
        else
            buf_addc(out, *text);
}

static void print_number(struct buf *out, double value)
{
    if (isfinite(value) && value == floor(value) && fabs(value) < 1e15)
        buf_addf(out, "%.0f", value);
    else if (isfinite(value))
        buf_addf(out, "%.10g", value);
    else
        buf_adds(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

/* One sample's name with its labels; `le` is a histogram's own label, or NULL. */
static void print_name(struct buf *out, const struct metric *metric, const struct series *series,
                       const char *suffix, const double *le)
{
    const char *separator = "{";

    buf_addf(out, "%s%s", metric->name, suffix);
    for (size_t i = 0; i < metric->n_labels; i++, separator = ",") {
        buf_addf(out, "%s%s=\"", separator, metric->labels[i]);
        print_escaped(out, series->values[i]);
        buf_addc(out, '"');
    }
    if (le) {
        buf_addf(out, "%sle=\"", separator);
        print_number(out, *le);
        buf_addc(out, '"');
        separator = ",";
    }
    buf_adds(out, *separator == ',' ? "} " : " ");
}

static void print_histogram(struct buf *out, const struct metric *metric,
                            const struct series *series)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= metric->n_bounds; i++) {
        double le = i < metric->n_bounds ? metric->bounds[i] : INFINITY;

        count += series->bucket[i];
        print_name(out, metric, series, "_bucket", &le);
        buf_addf(out, "%llu\n", (unsigned long long)count);
    }
    print_name(out, metric, series, "_sum", NULL);
    print_number(out, series->value);
    buf_addc(out, '\n');
    print_name(out, metric, series, "_count", NULL);
    buf_addf(out, "%llu\n", (unsigned long long)series->count);
}

static void print_family(struct buf *out, const struct metric *metric)
{
    if (!metric->series)
        return;
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
             kinds[metric->kind]);
    for (const struct series *series = metric->series; series; series = series->next) {
        if (metric->kind == HISTOGRAM) {
            print_histogram(out, metric, series);
            continue;
        }
        print_name(out, metric, series, "", NULL);
        print_number(out, series->value);
        buf_addc(out, '\n');
    }
}

void metrics_on_print(struct metrics *metrics, void (*collect)(void *data), void *data)
{
    if (!metrics)
        return;
    metrics->collect = collect;
    metrics->data = data;
}

void metrics_print(struct metrics *metrics, struct buf *out)
{
    if (!metrics)
        return;
    if (metrics->collect)
        metrics->collect(metrics->data);
    for (const struct metric *metric = metrics->families; metric; metric = metric->next)
        print_family(out, metric);
    process_print(out);
}
