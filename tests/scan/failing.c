/* To be preloaded: calls of the gate's own programs fail, as the machine makes them fail that is
 * out of something.
 *
 *   FAILING_PROGRAM  whose: "gitgate-gate scan", and nothing that this starts
 *   FAILING_KIND     what is lacking, see below
 *   FAILING_FROM     the first call of the kind that fails, from 1
 *   FAILING_CALLS    how many do, one after the other; 0: all from there on
 *   FAILING_COUNT    a file of 64-bit numbers, to which the calls of each kind are counted */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind {
    NONE,
    MEMORY, /* ENOMEM */
    FILES,  /* no file is opened or made any more: EMFILE */
    READ,   /* EIO */
    WRITE,  /* ENOSPC */
    LOOK,   /* what is looked up can't be: EIO */
    SPAWN,  /* no process can be started, watched or waited for: EAGAIN */
    SHORT,  /* no failure: half of what was to be read or written */
    AGAIN,  /* nor is this: a signal came, EINTR */
    KINDS
};

static const char *const names[] = {"none", "memory", "files", "read", "write",
                                    "look", "spawn",  "short", "again"};
static const int errors[] = {0, ENOMEM, EMFILE, EIO, ENOSPC, EIO, EAGAIN, 0, EINTR};

static enum kind lacking;
static uint64_t from, calls;
static uint64_t *counts;

static uint64_t number(const char *name)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : 0;
}

/* "gitgate-gate scan": the program's name and its first argument. */
static bool is_meant(int argc, char **argv)
{
    const char *meant = getenv("FAILING_PROGRAM"), *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    char name[64];

    if (argc < 2 || !meant)
        return false;
    snprintf(name, sizeof name, "%s %s", slash ? slash + 1 : argv[0], argv[1]);
    return strcmp(name, meant) == 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *kind = getenv("FAILING_KIND"), *file = getenv("FAILING_COUNT");
    int fd;

    if (!is_meant(argc, argv))
        return;
    from = number("FAILING_FROM");
    calls = number("FAILING_CALLS");
    fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    counts = mmap(NULL, KINDS * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!kind || fd < 0 || counts == MAP_FAILED)
        abort(); /* a test in which nothing fails would prove nothing */
    close(fd);
    for (enum kind i = MEMORY; i < KINDS; i++)
        if (strcmp(kind, names[i]) == 0)
            lacking = i;
}

/* True when this call is one that fails; errno says so. */
static bool fails(enum kind kind)
{
    uint64_t n;

    if (!counts)
        return false;
    n = __atomic_add_fetch(&counts[kind], 1, __ATOMIC_RELAXED);
    if (kind != lacking || n < from || (calls > 0 && n >= from + calls))
        return false;
    if (errors[kind])
        errno = errors[kind];
    return true;
}

/* What is called where nothing fails: of the next library that has it. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (!real)                                                                                     \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* FUNCTION(kind, type, name, failure, (parameters), (arguments)) */
#define FUNCTION(kind, type, name, failure, parameters, arguments)                                 \
    type name parameters                                                                           \
    {                                                                                              \
        REAL(name);                                                                                \
        return fails(kind) ? failure : real arguments;                                             \
    }

FUNCTION(MEMORY, void *, malloc, NULL, (size_t size), (size))
FUNCTION(MEMORY, void *, calloc, NULL, (size_t n, size_t size), (n, size))
FUNCTION(MEMORY, void *, realloc, NULL, (void *at, size_t size), (at, size))
FUNCTION(MEMORY, void *, mmap, MAP_FAILED,
         (void *at, size_t len, int prot, int flags, int fd, off_t offset),
         (at, len, prot, flags, fd, offset))

#define MODE(flags)                                                                                \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

int open(const char *path, int flags, ...)
{
    REAL(open);
    MODE(flags)
    return fails(FILES) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    REAL(open64);
    MODE(flags)
    return fails(FILES) ? -1 : real(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    REAL(openat);
    MODE(flags)
    return fails(FILES) ? -1 : real(folder, path, flags, mode);
}

FUNCTION(FILES, FILE *, fopen, NULL, (const char *path, const char *mode), (path, mode))
FUNCTION(FILES, DIR *, opendir, NULL, (const char *path), (path))
FUNCTION(FILES, DIR *, fdopendir, NULL, (int fd), (fd))
FUNCTION(FILES, int, mkostemp, -1, (char *path, int flags), (path, flags))
FUNCTION(FILES, char *, mkdtemp, NULL, (char *path), (path))
FUNCTION(FILES, int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
FUNCTION(FILES, int, pipe2, -1, (int to[2], int flags), (to, flags))
FUNCTION(FILES, int, socketpair, -1, (int domain, int type, int protocol, int to[2]),
         (domain, type, protocol, to))
FUNCTION(FILES, int, epoll_create1, -1, (int flags), (flags))
FUNCTION(FILES, int, eventfd, -1, (unsigned n, int flags), (n, flags))
FUNCTION(FILES, void *, dlopen, NULL, (const char *path, int flags), (path, flags))

/* Of a file: a pipe with somebody at its other end gives no such error, and libuv knows of none. */
static bool fails_on(int fd, enum kind kind)
{
    struct stat st;

    return counts && syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && fails(kind);
}

static size_t half(size_t len)
{
    return len > 1 && fails(SHORT) ? len / 2 : len;
}

ssize_t read(int fd, void *to, size_t len)
{
    REAL(read);
    return fails_on(fd, READ) || fails(AGAIN) ? -1 : real(fd, to, half(len));
}

ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    REAL(pread);
    return fails(READ) ? -1 : real(fd, to, half(len), at);
}

FUNCTION(READ, int, getc, EOF, (FILE * file), (file))
FUNCTION(READ, ssize_t, getline, -1, (char **to, size_t *size, FILE *file), (to, size, file))
FUNCTION(READ, struct dirent *, readdir, NULL, (DIR * dir), (dir))
FUNCTION(READ, ssize_t, readlink, -1, (const char *path, char *to, size_t size), (path, to, size))

ssize_t write(int fd, const void *data, size_t len)
{
    REAL(write);
    return fails_on(fd, WRITE) || fails(AGAIN) ? -1 : real(fd, data, half(len));
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    if (fails_on(fd, WRITE) || fails(AGAIN))
        return -1;
    return n > 1 && fails(SHORT) ? real(fd, parts, n / 2) : real(fd, parts, n);
}

FUNCTION(WRITE, ssize_t, pwrite, -1, (int fd, const void *data, size_t len, off_t at),
         (fd, data, len, at))
FUNCTION(WRITE, int, ftruncate, -1, (int fd, off_t len), (fd, len))
FUNCTION(WRITE, int, posix_fallocate, ENOSPC, (int fd, off_t at, off_t len), (fd, at, len))
FUNCTION(WRITE, int, fsync, -1, (int fd), (fd))
FUNCTION(WRITE, int, rename, -1, (const char *before, const char *after), (before, after))
FUNCTION(WRITE, int, symlink, -1, (const char *target, const char *path), (target, path))

int fclose(FILE *file)
{
    REAL(fclose);
    int failed = fails(WRITE), r = real(file); /* it is closed, whatever was lost */

    return failed ? errno = ENOSPC, EOF : r;
}

FUNCTION(LOOK, int, access, -1, (const char *path, int mode), (path, mode))
FUNCTION(LOOK, int, faccessat, -1, (int folder, const char *path, int mode, int flags),
         (folder, path, mode, flags))
FUNCTION(LOOK, int, stat, -1, (const char *path, struct stat *to), (path, to))
FUNCTION(LOOK, int, lstat, -1, (const char *path, struct stat *to), (path, to))
FUNCTION(LOOK, int, fstat, -1, (int fd, struct stat *to), (fd, to))
FUNCTION(LOOK, off_t, lseek, -1, (int fd, off_t at, int whence), (fd, at, whence))
FUNCTION(LOOK, char *, realpath, NULL, (const char *path, char *to), (path, to))
FUNCTION(LOOK, int, flock, -1, (int fd, int operation), (fd, operation))
FUNCTION(LOOK, ssize_t, getrandom, -1, (void *to, size_t len, unsigned flags), (to, len, flags))

int fcntl(int fd, int command, ...)
{
    REAL(fcntl);
    va_list ap;
    void *argument;

    va_start(ap, command);
    argument = va_arg(ap, void *);
    va_end(ap);
    return fails(LOOK) ? -1 : real(fd, command, argument);
}

FUNCTION(SPAWN, pid_t, fork, -1, (void), ())
FUNCTION(SPAWN, int, posix_spawnp, EAGAIN,
         (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions,
          const posix_spawnattr_t *attributes, char *const argv[], char *const env[]),
         (pid, file, actions, attributes, argv, env))
FUNCTION(SPAWN, int, pidfd_open, -1, (pid_t pid, unsigned flags), (pid, flags))
FUNCTION(SPAWN, int, epoll_ctl, -1, (int fd, int op, int of, struct epoll_event *event),
         (fd, op, of, event))
FUNCTION(SPAWN, int, pthread_create, EAGAIN,
         (pthread_t *restrict to, const pthread_attr_t *restrict attributes, void *(*run)(void *),
          void *restrict data),
         (to, attributes, run, data))
FUNCTION(SPAWN, int, setrlimit, -1, (__rlimit_resource_t what, const struct rlimit *to), (what, to))

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    REAL(poll);
    return fails(SPAWN) || fails(AGAIN) ? -1 : real(fds, n, timeout);
}
