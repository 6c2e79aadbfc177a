/* To be preloaded: CLOCK_REALTIME and CLOCK_BOOTTIME as somebody moves them under a running
 * process, CLOCK_MONOTONIC as it is.  $MOVED_CLOCK names a file of two 64-bit numbers, the seconds
 * by which each is ahead: whoever writes them moves the clock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { REAL, BOOT, CLOCKS };

static volatile const int64_t *moved;

__attribute__((constructor)) static void map(void)
{
    const char *path = getenv("MOVED_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at =
        fd < 0 ? MAP_FAILED : mmap(NULL, CLOCKS * sizeof *moved, PROT_READ, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED)
        abort(); /* a test that moves no clock would prove nothing */
    moved = at;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && moved && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += moved[REAL];
    if (r == 0 && moved && clock == CLOCK_BOOTTIME)
        now->tv_sec += moved[BOOT];
    return r;
}

time_t time(time_t *ret)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    ret->tv_sec = now.tv_sec;
    ret->tv_usec = now.tv_nsec / 1000;
    return 0;
}
