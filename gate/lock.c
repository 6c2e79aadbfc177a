#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <time.h>

#include "base/file.h"
#include "base/parse.h"

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_LEN 36
#define RECORD_MAX (BOOT_ID_LEN + 32 + URL_MAX + REFRESH_MESSAGE_MAX)
#define WAKE_US 100000 /* how often a waiter looks at the clock */

uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double clock_ms_since(uint64_t from_ns)
{
    return (double)((clock_now_ns() - from_ns) / 10000u) / 100;
}

static void on_alarm(int signal_number)
{
    (void)signal_number; /* it interrupts flock, that is all */
}

/* flock has no time-out: a timer that goes on interrupting it cannot be missed. */
static int flock_within(int fd, uint64_t timeout_ms)
{
    struct itimerval every = {.it_interval.tv_usec = WAKE_US, .it_value.tv_usec = WAKE_US};
    struct sigaction action = {.sa_handler = on_alarm}, before;
    uint64_t deadline = clock_now_ns() + timeout_ms * 1000000u;
    int r = 0;

    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &every, NULL);
    while (flock(fd, LOCK_EX) < 0) {
        if (errno != EINTR)
            r = -errno;
        else if (clock_now_ns() > deadline)
            r = -ETIMEDOUT;
        if (r < 0)
            break;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    sigaction(SIGALRM, &before, NULL);
    return r;
}

int lock_take(const char *repo, uint64_t timeout_ms, int *ret, struct error *err)
{
    cleanup_free char *path = NULL;
    cleanup_close int fd = -1;
    int r;

    if (asprintf(&path, "%s/" LOCK_FILE, repo) < 0) {
        path = NULL;
        return error_errno(err, -ENOMEM, "cannot lock the repository");
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, -errno, "cannot lock the repository");
    r = flock_within(fd, timeout_ms);
    if (r == -ETIMEDOUT)
        return error_set(err, r,
                         "the repository was busy for %" PRIu64 " s with another fetch or push; "
                         "try again",
                         timeout_ms / 1000);
    if (r < 0)
        return error_errno(err, r, "cannot lock the repository");
    *ret = TAKE_FD(fd);
    return 0;
}

static bool boot_id(char to[BOOT_ID_LEN + 1])
{
    cleanup_buf struct buf text = BUF_INIT(BOOT_ID_LEN + 1);

    if (file_read(BOOT_ID_FILE, &text, NULL) < 0 || text.len < BOOT_ID_LEN)
        return false;
    memcpy(to, text.data, BOOT_ID_LEN);
    to[BOOT_ID_LEN] = '\0';
    return true;
}

/* "<boot id> <nanoseconds> ok <url>\n" or "<boot id> <nanoseconds> failed <url>\n<message>" */
static bool parse_record(char *text, struct refresh_record *ret)
{
    char boot[BOOT_ID_LEN + 1], *number, *state, *url, *end;

    if (!boot_id(boot) || strncmp(text, boot, BOOT_ID_LEN) != 0 || text[BOOT_ID_LEN] != ' ')
        return false;
    number = text + BOOT_ID_LEN + 1;
    end = strchr(number, '\n');
    if (!end)
        return false;
    *end++ = '\0';
    state = strchr(number, ' ');
    url = state ? strchr(state + 1, ' ') : NULL;
    if (!url)
        return false;
    *state++ = *url++ = '\0';
    ret->ok = strcmp(state, "ok") == 0;
    snprintf(ret->url, sizeof ret->url, "%s", url);
    snprintf(ret->message, sizeof ret->message, "%s", end);
    return (ret->ok || *ret->message) && parse_u64(number, clock_now_ns(), &ret->started_ns) == 0;
}

bool lock_read_record(int fd, struct refresh_record *ret)
{
    char text[RECORD_MAX + 1];
    ssize_t n = pread(fd, text, RECORD_MAX, 0);

    if (n <= BOOT_ID_LEN)
        return false;
    text[n] = '\0';
    return parse_record(text, ret);
}

void lock_write_record(int fd, const struct refresh_record *record)
{
    char text[RECORD_MAX + 1], boot[BOOT_ID_LEN + 1];
    int len;

    if (ftruncate(fd, 0) < 0 || !boot_id(boot))
        return;
    len = snprintf(text, sizeof text, "%s %" PRIu64 " %s %s\n%s", boot, record->started_ns,
                   record->ok ? "ok" : "failed", record->url, record->ok ? "" : record->message);
    if (len > 0 && len < (int)sizeof text && pwrite(fd, text, (size_t)len, 0) != len &&
        ftruncate(fd, 0) < 0)
        return; /* neither whole nor gone: what is left of it does not parse */
}
