#include "mirror/presence.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"

#define PRESENCE_FILE ".presence" /* beside the repositories */
#define POLL_NS 20000000          /* there is no lock of this kind with a time-out */
#define AGREED (PRESENCE_NOTE_MAX + 1)

int presence_open(const char *repos_dir, struct error *err)
{
    char path[PATH_MAX];
    int r, fd;

    r = path_make(path, err, "%s/" PRESENCE_FILE, repos_dir);
    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? error_errno(err, -errno, "cannot open the gate's own lock") : fd;
}

/* A byte of the file for each repository, by the FNV-1a hash of its name: two that share one are
 * less often alone, and that is all. */
static struct flock place_of(const char *name, short type)
{
    uint32_t hash = 2166136261u;

    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)hash, .l_len = 1};
}

int presence_join(const struct gate *gate, const struct upstream *upstream, struct error *err)
{
    struct flock place = place_of(upstream->name, F_RDLCK);

    if (gate->presence >= 0 && fcntl(gate->presence, F_OFD_SETLK, &place) < 0)
        return error_errno(err, -errno, "the gate can't lock its repository");
    return 0;
}

/* What the connection keeps, or 0. */
static uint64_t kept(const struct gate *gate)
{
    off_t at = gate->presence >= 0 ? lseek(gate->presence, 0, SEEK_CUR) : -1;

    return at > 0 ? (uint64_t)at : 0;
}

static int keep(const struct gate *gate, uint64_t what, struct error *err)
{
    if (gate->presence >= 0 && lseek(gate->presence, (off_t)what, SEEK_SET) < 0)
        return error_errno(err, -errno, "the gate can't lock its repository");
    return 0;
}

int presence_note(const struct gate *gate, uint64_t number, struct error *err)
{
    return keep(gate, number, err);
}

bool presence_noted(const struct gate *gate, uint64_t *number)
{
    *number = kept(gate) & PRESENCE_NOTE_MAX;
    return gate->presence >= 0;
}

int presence_agree(const struct gate *gate, struct error *err)
{
    return keep(gate, kept(gate) | AGREED, err);
}

bool presence_agreed(const struct gate *gate)
{
    return kept(gate) & AGREED;
}

bool presence_none(int fd, const char *name, uint64_t timeout_ms)
{
    uint64_t deadline_ns = clock_now_ns() + timeout_ms * 1000000u;
    struct flock place = place_of(name, F_WRLCK);

    while (fcntl(fd, F_OFD_SETLK, &place) < 0) {
        if ((errno != EAGAIN && errno != EACCES) || clock_now_ns() > deadline_ns)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    return true;
}
