#include "metrics/process.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"
#include "base/parse.h"

#define STAT_MAX 4096       /* /proc/self/stat has some 300 bytes */
#define STAT_START_FIELD 22 /* proc_pid_stat(5): starttime, in clock ticks since boot */
#define STAT_BEHIND_NAME 2  /* the number of the field that ends with ')' */

static void print_sample(struct buf *out, const char *name, const char *type, const char *help,
                         double value)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void print_cpu(struct buf *out)
{
    uv_rusage_t usage;

    if (uv_getrusage(&usage) < 0)
        return;
    print_sample(out, "process_cpu_seconds_total", "counter",
                 "Total user and system CPU time spent in seconds.",
                 (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void print_memory(struct buf *out)
{
    size_t resident;

    if (uv_resident_set_memory(&resident) == 0)
        print_sample(out, "process_resident_memory_bytes", "gauge",
                     "Resident memory size in bytes.", (double)resident);
}

static void print_descriptors(struct buf *out)
{
    DIR *dir = opendir("/proc/self/fd");
    struct rlimit limit;
    double n = 0;

    if (dir) {
        for (struct dirent *entry; (entry = readdir(dir));)
            n += entry->d_name[0] != '.';
        closedir(dir);
        print_sample(out, "process_open_fds", "gauge", "Number of open file descriptors.",
                     n - 1); /* without the folder's own */
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        print_sample(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                     (double)limit.rlim_cur);
}

static void print_start(struct buf *out)
{
    cleanup_buf struct buf stat = BUF_INIT(STAT_MAX);
    struct timespec now, since_boot;
    char *field, *rest;
    uint64_t ticks;

    if (file_read("/proc/self/stat", &stat, NULL) < 0 || !(field = strrchr(stat.data, ')')) ||
        clock_gettime(CLOCK_REALTIME, &now) < 0 || clock_gettime(CLOCK_BOOTTIME, &since_boot) < 0)
        return;
    field = strtok_r(field + 1, " ", &rest);
    for (int i = STAT_BEHIND_NAME + 1; field && i < STAT_START_FIELD; i++)
        field = strtok_r(NULL, " ", &rest);
    if (field && parse_u64(field, UINT64_MAX, &ticks) == 0)
        print_sample(out, "process_start_time_seconds", "gauge",
                     "Start time of the process since unix epoch in seconds.",
                     (double)(now.tv_sec - since_boot.tv_sec) +
                         (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

void process_print(struct buf *out)
{
    print_cpu(out);
    print_memory(out);
    print_descriptors(out);
    print_start(out);
}
