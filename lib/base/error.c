#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Others' words may be cut within a character: a message with half a one would be none in a status
 * or a log line. */
__attribute__((format(printf, 3, 0))) static void write_at(struct error *err, size_t at,
                                                           const char *fmt, va_list ap)
{
    size_t room = sizeof err->msg - at;

    if (vsnprintf(err->msg + at, room, fmt, ap) >= (int)room)
        cut_at_character(err->msg);
}

__attribute__((format(printf, 2, 3))) static void append(struct error *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    write_at(err, strlen(err->msg), fmt, ap);
    va_end(ap);
}

__attribute__((format(printf, 3, 0))) static int set_message(struct error *err, int code,
                                                             const char *fmt, va_list ap)
{
    if (!err)
        return code;
    err->code = code;
    write_at(err, 0, fmt, ap);
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_message(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int error_errno(struct error *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_message(err, code, fmt, ap);
    va_end(ap);
    if (err)
        append(err, ": %s", strerror(-code));
    return code;
}

int error_wrap(struct error *err, int code, const char *fmt, ...)
{
    char inner[ERROR_MSG_MAX];
    va_list ap;

    if (!err)
        return code;
    memcpy(inner, err->msg, sizeof inner);
    va_start(ap, fmt);
    set_message(err, code, fmt, ap);
    va_end(ap);
    append(err, ": %s", inner);
    return code;
}
