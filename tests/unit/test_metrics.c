/* lib/metrics prints what Prometheus reads, and nobody who chooses a label can make it grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "metrics/metrics.h"

#define TEXT_MAX ((size_t)1 << 20)

static void assert_prints(struct metrics *metrics, const char *wanted)
{
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX);

    metrics_print(metrics, &text);
    assert_int_equal(buf_error(&text), 0);
    if (!strstr(text.data, wanted))
        fail_msg("wanted:\n%s\nprinted:\n%s", wanted, text.data);
}

static void a_counter_is_there_from_the_start_and_adds_up(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *plain = metrics_counter(metrics, "seen_total", "Things seen.", NULL);
    struct metric *by_code =
        metrics_counter(metrics, "asked_total", "Requests.", LABELS("method", "code"));

    (void)state;
    assert_prints(metrics, "# HELP seen_total Things seen.\n# TYPE seen_total counter\n"
                           "seen_total 0\n");
    metric_add(plain, 2, NULL);
    metric_add(plain, 0.5, NULL);
    metric_add(by_code, 1, LABELS("GET", "200"));
    metric_add(by_code, 1, LABELS("PUT", "409"));
    metric_add(by_code, 1, LABELS("GET", "200"));
    assert_prints(metrics, "seen_total 2.5\n");
    assert_prints(metrics, "# TYPE asked_total counter\n"
                           "asked_total{method=\"GET\",code=\"200\"} 2\n"
                           "asked_total{method=\"PUT\",code=\"409\"} 1\n");
}

static void a_gauge_forgets_what_is_gone(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *gauge = metrics_gauge(metrics, "size_bytes", "Size.", LABELS("repo"));

    (void)state;
    metric_set(gauge, 1, LABELS("a"));
    metric_set(gauge, 3000000000.0, LABELS("b"));
    metric_drop(gauge, LABELS("b"));
    metric_drop(gauge, LABELS("never there"));
    metric_set(gauge, -4, LABELS("c"));
    assert_prints(metrics, "# TYPE size_bytes gauge\n"
                           "size_bytes{repo=\"a\"} 1\nsize_bytes{repo=\"c\"} -4\n");
}

static void a_histogram_counts_each_bucket_and_all_below_it(void **state)
{
    static const double bounds[] = {0.1, 1};
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *seconds =
        metrics_histogram(metrics, "took_seconds", "Time.", LABELS("verb"), bounds, 2);

    (void)state;
    metric_observe(seconds, 0.05, LABELS("list"));
    metric_observe(seconds, 0.1, LABELS("list"));
    metric_observe(seconds, 0.5, LABELS("list"));
    metric_observe(seconds, 7, LABELS("list"));
    assert_prints(metrics, "took_seconds_bucket{verb=\"list\",le=\"0.1\"} 2\n"
                           "took_seconds_bucket{verb=\"list\",le=\"1\"} 3\n"
                           "took_seconds_bucket{verb=\"list\",le=\"+Inf\"} 4\n"
                           "took_seconds_sum{verb=\"list\"} 7.65\n"
                           "took_seconds_count{verb=\"list\"} 4\n");
}

static void a_label_value_cannot_end_its_line_or_its_quotes(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *counter = metrics_counter(metrics, "a_total", "A.", LABELS("name"));

    (void)state;
    metric_add(counter, 1, LABELS("x\"} 5\nb_total 7\\"));
    assert_prints(metrics, "a_total{name=\"x\\\"} 5\\nb_total 7\\\\\"} 1\n");
}

static void past_the_cap_on_series_the_rest_is_counted_together(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *counter = metrics_counter(metrics, "a_total", "A.", LABELS("name"));
    char name[32];

    (void)state;
    for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
        snprintf(name, sizeof name, "n%d", i);
        metric_add(counter, 1, LABELS(name));
    }
    assert_prints(metrics, "a_total{name=\"n0\"} 1\n");
    assert_prints(metrics, "a_total{name=\"other\"} 10\n");
}

static void a_long_label_value_is_cut_and_still_found_again(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *counter = metrics_counter(metrics, "a_total", "A.", LABELS("name"));
    char name[METRIC_LABEL_VALUE_MAX * 2 + 1], line[METRIC_LABEL_VALUE_MAX + 64];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    metric_add(counter, 1, LABELS(name));
    metric_add(counter, 1, LABELS(name));
    snprintf(line, sizeof line, "a_total{name=\"%.*s\"} 2\n", METRIC_LABEL_VALUE_MAX, name);
    assert_prints(metrics, line);
}

static void no_registry_counts_nothing_and_harms_nothing(void **state)
{
    cleanup_buf struct buf text = BUF_INIT(TEXT_MAX);
    struct metric *counter = metrics_counter(NULL, "a_total", "A.", NULL);

    (void)state;
    assert_null(counter);
    metric_add(counter, 1, NULL);
    metric_set(counter, 1, NULL);
    metric_observe(counter, 1, NULL);
    metric_drop(counter, NULL);
    metrics_print(NULL, &text);
    assert_string_equal(text.data, "");
}

static void set_to_nine(void *data)
{
    metric_set(data, 9, NULL);
}

static void gauges_are_collected_at_each_print(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();
    struct metric *gauge = metrics_gauge(metrics, "depth", "Depth.", NULL);

    (void)state;
    metrics_on_print(metrics, set_to_nine, gauge);
    assert_prints(metrics, "\ndepth 9\n");
}

static void the_process_tells_of_itself(void **state)
{
    cleanup_metrics struct metrics *metrics = metrics_new();

    (void)state;
    assert_prints(metrics, "\nprocess_resident_memory_bytes ");
    assert_prints(metrics, "\nprocess_cpu_seconds_total ");
    assert_prints(metrics, "\nprocess_open_fds ");
    assert_prints(metrics, "\nprocess_start_time_seconds ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_there_from_the_start_and_adds_up),
        cmocka_unit_test(a_gauge_forgets_what_is_gone),
        cmocka_unit_test(a_histogram_counts_each_bucket_and_all_below_it),
        cmocka_unit_test(a_label_value_cannot_end_its_line_or_its_quotes),
        cmocka_unit_test(past_the_cap_on_series_the_rest_is_counted_together),
        cmocka_unit_test(a_long_label_value_is_cut_and_still_found_again),
        cmocka_unit_test(no_registry_counts_nothing_and_harms_nothing),
        cmocka_unit_test(gauges_are_collected_at_each_print),
        cmocka_unit_test(the_process_tells_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
