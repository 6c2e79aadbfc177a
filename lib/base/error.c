#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static int set_message(struct error *err, int code,
                                                             const char *fmt, va_list ap)
{
    if (!err)
        return code;
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
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
    if (err) {
        size_t len = strlen(err->msg);
        snprintf(err->msg + len, sizeof err->msg - len, ": %s", strerror(-code));
    }
    return code;
}

int error_wrap(struct error *err, int code, const char *fmt, ...)
{
    char inner[ERROR_MSG_MAX];
    size_t len;
    va_list ap;

    if (!err)
        return code;
    memcpy(inner, err->msg, sizeof inner);
    va_start(ap, fmt);
    set_message(err, code, fmt, ap);
    va_end(ap);
    len = strlen(err->msg);
    snprintf(err->msg + len, sizeof err->msg - len, ": %s", inner);
    return code;
}
