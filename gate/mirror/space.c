#include "mirror/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include "base/cleanup.h"

#define PART 10                       /* a tenth */
#define BYTES_MIN ((uint64_t)8 << 20) /* several pushes that are not large */

static bool is_no_room(int error)
{
    return error == EDQUOT || error == ENOSPC;
}

/* A quota of a project is told as if it were the file system's; one of a user or a btrfs subvolume
 * shows only when it is met. So room is taken in a file without a name, and given back at once. */
static bool can_take(const char *dir, uint64_t bytes)
{
    cleanup_close int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return !is_no_room(errno);
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0 || !is_no_room(errno);
}

bool space_is_short(const char *dir, uint64_t bytes)
{
    struct statfs fs;

    if (statfs(dir, &fs) < 0)
        return false;
    if ((uint64_t)fs.f_bavail * PART < (uint64_t)fs.f_blocks)
        return true;
    if (fs.f_type == TMPFS_MAGIC) /* it would be memory that is taken */
        return false;
    return !can_take(dir, bytes / PART > BYTES_MIN ? bytes / PART : BYTES_MIN);
}
