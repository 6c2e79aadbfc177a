#include "base/timestamp.h"

#include <stdio.h>

#define NS_DIGITS 9

void timestamp_format(const struct timespec *at, enum timestamp_digits digits,
                      char to[TIMESTAMP_SIZE])
{
    struct tm tm;
    long fraction = at->tv_nsec;
    size_t len;

    gmtime_r(&at->tv_sec, &tm);
    len = strftime(to, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    for (int i = digits; i < NS_DIGITS; i++)
        fraction /= 10;
    if (digits == TIMESTAMP_S)
        snprintf(to + len, TIMESTAMP_SIZE - len, "Z");
    else
        snprintf(to + len, TIMESTAMP_SIZE - len, ".%0*ldZ", (int)digits, fraction);
}

void timestamp_now(enum timestamp_digits digits, char to[TIMESTAMP_SIZE])
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    timestamp_format(&now, digits, to);
}
