#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/timestamp.h"

/* A reader's buffer: longer lines are replaced by their message alone. */
#define LINE_MAX_BYTES 16384
#define LINE_HEAD 160 /* what time, level, program and msg take */

static const char *const level_names[] = {
    [LOG_DEBUG_] = "debug",
    [LOG_INFO_] = "info",
    [LOG_WARN_] = "warn",
    [LOG_ERROR_] = "error",
};

int log_level_parse(const char *text, enum log_level *ret)
{
    for (int i = LOG_DEBUG_; i <= LOG_ERROR_; i++)
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    return -EINVAL;
}

/* Digits of a fraction: 231.1 ms and not 231.09999999999999. */
#define PRECISION 12

static int append_json(const char *bytes, size_t len, void *into)
{
    buf_add(into, bytes, len);
    return buf_error(into) ? -1 : 0;
}

static void write_line(int fd, const char *data, size_t len)
{
    /* A log that cannot be written must not stop the work. */
    ssize_t n = write(fd, data, len);

    (void)n;
}

static void write_too_long(const struct log *log, enum log_level level, const char *time)
{
    cleanup_buf struct buf out = BUF_INIT(LINE_MAX_BYTES);

    buf_addf(&out, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"line too long\"}\n", time,
             level_names[level]);
    write_line(log->fd, out.data, out.len);
}

void log_members(const struct log *log, enum log_level level, const char *msg, const char *members)
{
    cleanup_buf struct buf out = BUF_INIT(LINE_MAX_BYTES);
    char time[TIMESTAMP_SIZE];

    if (!log || level < log->min)
        return;
    timestamp_now(TIMESTAMP_MS, time);
    buf_reserve(&out, strlen(members) + LINE_HEAD);
    buf_addf(&out, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"msg\":\"%s\"", time,
             level_names[level], log->program, msg);
    buf_adds(&out, *members ? "," : "");
    buf_adds(&out, members);
    buf_adds(&out, "}\n");
    if (buf_error(&out))
        write_too_long(log, level, time);
    else
        write_line(log->fd, out.data, out.len);
}

void log_line(const struct log *log, enum log_level level, const char *msg, json_t *fields)
{
    json_auto_t *extra = fields;
    json_auto_t *line = NULL;
    cleanup_buf struct buf out = BUF_INIT(LINE_MAX_BYTES);
    char time[TIMESTAMP_SIZE];

    if (!log || level < log->min)
        return;
    timestamp_now(TIMESTAMP_MS, time);
    line = json_pack("{s:s, s:s, s:s, s:s}", "time", time, "level", level_names[level], "program",
                     log->program, "msg", msg);
    if (!line)
        return;
    if (extra)
        json_object_update_missing(line, extra);
    if (json_dump_callback(line, append_json, &out, JSON_COMPACT | JSON_REAL_PRECISION(PRECISION)) <
        0) {
        write_too_long(log, level, time);
        return;
    }
    buf_addc(&out, '\n');
    write_line(log->fd, out.data, out.len);
}
