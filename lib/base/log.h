/* Log lines: one JSON object a line, written whole with one write(2).
 *
 *     log_info(log, "refreshed", json_pack("{s:s, s:I}", "repo", name, "ms", elapsed));
 *
 * Never pass a secret: whatever is given here is printed. */
#ifndef GITGATE_BASE_LOG_H
#define GITGATE_BASE_LOG_H

#include <jansson.h>

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

struct log {
    int fd;
    enum log_level min;
    const char *program; /* the line's "program" */
};

/* "debug", "info", "warn" or "error"; -EINVAL for another text. */
int log_level_parse(const char *text, enum log_level *ret);

/* Steals `fields` (an object, or NULL); its members follow time, level, program and msg. */
void log_line(const struct log *log, enum log_level level, const char *msg, json_t *fields);

/* The same with its members as JSON text ("\"a\":1,\"b\":\"c\""), for lines that are written with
 * every request: no tree is made of them. `msg` needs no escape. */
void log_members(const struct log *log, enum log_level level, const char *msg, const char *members);

#define log_debug(log, msg, fields) log_line(log, LOG_DEBUG_, msg, fields)
#define log_info(log, msg, fields) log_line(log, LOG_INFO_, msg, fields)
#define log_warn(log, msg, fields) log_line(log, LOG_WARN_, msg, fields)
#define log_error(log, msg, fields) log_line(log, LOG_ERROR_, msg, fields)

#endif
