#include <stdarg.h>
#include <stdio.h>

#include "cli.h"

int usage_error(const char *fmt, ...)
{
    va_list ap;

    fputs("gitgate: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("; see `gitgate help`\n", stderr);
    return EXIT_USAGE;
}
