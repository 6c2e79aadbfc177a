/* lib/base keeps its promises: caps hold, errors chain, parsing is checked, programs are bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/proc.h"
#include "base/timestamp.h"

static void buffer_never_grows_past_its_cap_and_keeps_the_error(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(8);

    (void)state;
    buf_adds(&b, "12345678");
    assert_int_equal(buf_error(&b), 0);
    buf_addc(&b, '9');
    assert_int_equal(buf_error(&b), -E2BIG);
    buf_adds(&b, "");
    assert_int_equal(buf_error(&b), -E2BIG);
    assert_string_equal(b.data, "12345678");
    assert_null(buf_take(&b));
    buf_reset(&b);
    buf_addf(&b, "%d-%s", 42, "x");
    assert_int_equal(buf_error(&b), 0);
    assert_string_equal(b.data, "42-x");
}

static void an_empty_buffer_is_an_empty_string(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(8);
    cleanup_free char *taken = NULL;

    (void)state;
    assert_string_equal(b.data, "");
    taken = buf_take(&b);
    assert_string_equal(taken, "");
}

/* Whatever is before it: what holds half a character is no text, and no status or line has it. */
static void an_error_that_is_cut_ends_with_a_whole_character(void **state)
{
    char text[2 * ERROR_MSG_MAX];
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 3 ? '\x80' : '\xe4'; /* U+4000 */
    text[sizeof text - 1] = '\0';
    for (size_t before = 0; before < 6; before++) {
        error_set(&err, -EIO, "%.*s%s", (int)before, "ascii!", text);
        assert_int_equal((strlen(err.msg) - before) % 3, 0);
        assert_true(strlen(err.msg) > ERROR_MSG_MAX - 8);
        error_wrap(&err, -EIO, "%.*s", (int)before, "ascii!");
        assert_int_equal((strlen(err.msg) - 2 * before - 2) % 3, 0);
    }
}

static void errors_read_from_the_outside_in(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(error_errno(&err, -ENOENT, "cannot open %s", "key"), -ENOENT);
    assert_int_equal(error_wrap(&err, -EINVAL, "upstream %s", "app"), -EINVAL);
    assert_string_equal(err.msg, "upstream app: cannot open key: No such file or directory");
    assert_int_equal(err.code, -EINVAL);
    assert_int_equal(error_set(NULL, -EIO, "nobody listens"), -EIO);
}

static void a_message_that_is_too_long_is_cut_not_overrun(void **state)
{
    struct error err = ERROR_INIT;
    char text[3 * ERROR_MSG_MAX];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, -EIO, "%s", text);
    error_wrap(&err, -EIO, "%s", text);
    error_errno(&err, -EIO, "%s", text);
    assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
}

static void numbers_are_digits_within_bounds_and_nothing_else(void **state)
{
    static const char *const bad[] = {"",   "-1",  "+1",  " 1",
                                      "1 ", "0x1", "1e3", "99999999999999999999"};
    uint64_t n = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(parse_u64(bad[i], UINT64_MAX, &n) < 0);
    assert_int_equal(parse_u64("65536", 65535, &n), -ERANGE);
    assert_int_equal(n, 7);
    assert_int_equal(parse_u64("65535", 65535, &n), 0);
    assert_int_equal(n, 65535);
}

static void quantities_and_durations_are_as_kubernetes_and_go_write_them(void **state)
{
    uint64_t n;

    (void)state;
    assert_int_equal(parse_bytes("512Mi", &n), 0);
    assert_int_equal(n, 512ull << 20);
    assert_int_equal(parse_bytes("2G", &n), 0);
    assert_int_equal(n, 2000000000ull);
    assert_int_equal(parse_bytes("1mi", &n), -EINVAL);
    assert_int_equal(parse_bytes("99999999999Ti", &n), -ERANGE);
    assert_int_equal(parse_duration_ms("1h30m", &n), 0);
    assert_int_equal(n, 5400000);
    assert_int_equal(parse_duration_ms("250ms", &n), 0);
    assert_int_equal(n, 250);
    assert_int_equal(parse_duration_ms("30", &n), -EINVAL);
    assert_int_equal(parse_duration_ms("1.5s", &n), -EINVAL);
}

static void a_program_gets_its_input_and_returns_its_output(void **state)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(100, 100);
    const char *const argv[] = {"sh", "-c", "cat; echo no >&2; exit 3", NULL};
    struct proc_spec spec = {.argv = argv, .input = "yes", .input_len = 3, .timeout_ms = 60000};

    (void)state;
    assert_int_equal(proc_run(&spec, &result, NULL), 0);
    assert_int_equal(result.exit_code, 3);
    assert_string_equal(result.out.data, "yes");
    assert_string_equal(result.err.data, "no\n");
}

static void output_past_the_cap_is_dropped_and_said(void **state)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(1000, 100);
    const char *const argv[] = {"head", "-c", "1000000", "/dev/zero", NULL};
    struct proc_spec spec = {.argv = argv, .timeout_ms = 60000};

    (void)state;
    assert_int_equal(proc_run(&spec, &result, NULL), 0);
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(buf_error(&result.out), -E2BIG);
}

/* A signal was sent to it; on a busy machine it takes a moment to be gone. */
static bool ended(pid_t pid)
{
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return fd < 0 ? errno == ESRCH : poll(&ready, 1, 10000) == 1;
}

static void a_program_that_hangs_is_killed_with_its_children(void **state)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(100, 100);
    const char *const argv[] = {"sh", "-c", "sleep 1000 & echo $!; wait", NULL};
    struct proc_spec spec = {.argv = argv, .timeout_ms = 300};
    cleanup_buf struct buf how = BUF_INIT(100);

    (void)state;
    assert_int_equal(proc_run(&spec, &result, NULL), 0);
    assert_true(result.timed_out);
    assert_int_equal(result.term_signal, 9);
    proc_describe(&spec, &result, &how);
    assert_string_equal(how.data, "no answer within 0 s");
    assert_true(ended(atoi(result.out.data)));
}

static void a_child_left_behind_with_the_pipes_does_not_delay_the_result(void **state)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(100, 100);
    const char *const argv[] = {"sh", "-c", "sleep 20 & echo $!", NULL};
    struct proc_spec spec = {.argv = argv, .timeout_ms = 60000};
    struct timespec before, after;

    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(proc_run(&spec, &result, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_int_equal(result.exit_code, 0);
    assert_true(after.tv_sec - before.tv_sec < 15);
    kill(atoi(result.out.data), 9);
}

static void a_program_that_is_missing_is_named(void **state)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(100, 100);
    const char *const argv[] = {"/nonexistent/gitleaks", NULL};
    struct proc_spec spec = {.argv = argv};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(proc_run(&spec, &result, &err), -ENOENT);
    assert_string_equal(err.msg, "cannot run /nonexistent/gitleaks: No such file or directory");
}

static void a_file_is_written_whole_with_its_mode(void **state)
{
    char dir[] = "/tmp/gitgate-test.XXXXXX", path[64];
    cleanup_buf struct buf b = BUF_INIT(16);
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a", dir);
    assert_int_equal(file_write(path, "old", 3, 0600, NULL), 0);
    assert_int_equal(file_write(path, "new", 3, 0440, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0440);
    assert_int_equal(file_read(path, &b, NULL), 0);
    assert_string_equal(b.data, "new");
    unlink(path);
    rmdir(dir);
}

static void a_file_over_the_cap_is_refused(void **state)
{
    cleanup_buf struct buf b = BUF_INIT(16);
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(file_read("/dev/zero", &b, &err), -E2BIG);
    assert_string_equal(err.msg, "/dev/zero is larger than 16 bytes");
}

static void a_time_is_written_as_the_api_conventions_ask(void **state)
{
    const struct timespec at = {.tv_sec = 1769860800, .tv_nsec = 98765432};
    char text[TIMESTAMP_SIZE];

    (void)state;
    timestamp_format(&at, TIMESTAMP_S, text);
    assert_string_equal(text, "2026-01-31T12:00:00Z");
    timestamp_format(&at, TIMESTAMP_MS, text);
    assert_string_equal(text, "2026-01-31T12:00:00.098Z");
    timestamp_format(&at, TIMESTAMP_US, text);
    assert_string_equal(text, "2026-01-31T12:00:00.098765Z");
    timestamp_now(TIMESTAMP_US, text);
    assert_int_equal(strlen(text), strlen("2026-01-31T12:00:00.098765Z"));
}

static void a_log_line_is_one_json_object(void **state)
{
    int fds[2];
    char line[1024] = "";
    json_auto_t *json = NULL;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct log log = {.fd = fds[1], .min = LOG_INFO_, .program = "test"};
    log_debug(&log, "not shown", NULL);
    log_info(&log, "a \"quoted\"\nline", json_pack("{s:i, s:f}", "ms", 5, "took", 231.1));
    assert_true(read(fds[0], line, sizeof line - 1) > 0);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(line, "\"took\":231.1}"));
    json = json_loads(line, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "msg")), "a \"quoted\"\nline");
    assert_int_equal(json_integer_value(json_object_get(json, "ms")), 5);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_never_grows_past_its_cap_and_keeps_the_error),
        cmocka_unit_test(an_empty_buffer_is_an_empty_string),
        cmocka_unit_test(errors_read_from_the_outside_in),
        cmocka_unit_test(an_error_that_is_cut_ends_with_a_whole_character),
        cmocka_unit_test(a_message_that_is_too_long_is_cut_not_overrun),
        cmocka_unit_test(numbers_are_digits_within_bounds_and_nothing_else),
        cmocka_unit_test(quantities_and_durations_are_as_kubernetes_and_go_write_them),
        cmocka_unit_test(a_program_gets_its_input_and_returns_its_output),
        cmocka_unit_test(output_past_the_cap_is_dropped_and_said),
        cmocka_unit_test(a_program_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(a_child_left_behind_with_the_pipes_does_not_delay_the_result),
        cmocka_unit_test(a_program_that_is_missing_is_named),
        cmocka_unit_test(a_file_is_written_whole_with_its_mode),
        cmocka_unit_test(a_file_over_the_cap_is_refused),
        cmocka_unit_test(a_time_is_written_as_the_api_conventions_ask),
        cmocka_unit_test(a_log_line_is_one_json_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
