#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"

/* Whole pages of a segment that nothing writes to, before or after relocation: what is dropped is
 * in the file. */
static int drop_segments(struct dl_phdr_info *info, size_t size, void *data)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size, (void)data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        uintptr_t end = start + segment->p_memsz;

        start = (start + page - 1) / page * page;
        end = end / page * page;
        if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W) && start < end)
            madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void memory_give_back(void)
{
    malloc_trim(0);
    dl_iterate_phdr(drop_segments, NULL);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

/* Data and stack, the sixth number (proc(5), /proc/pid/statm). */
static bool data_size(size_t *ret)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    bool told = f && fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) == 1;

    if (f)
        fclose(f);
    *ret = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
    return told;
}

void memory_cap(size_t more, struct memory_cap *ret)
{
    struct rlimit limit;
    size_t now;

    *ret = (struct memory_cap){.capped = false};
    if (SANITIZED || !data_size(&now) || getrlimit(RLIMIT_DATA, &ret->before) < 0)
        return;
    limit = ret->before;
    if (limit.rlim_cur > now + more)
        limit.rlim_cur = now + more;
    ret->capped = setrlimit(RLIMIT_DATA, &limit) == 0;
}

void memory_uncap(struct memory_cap *cap)
{
    if (cap->capped)
        setrlimit(RLIMIT_DATA, &cap->before);
    cap->capped = false;
}

/* As a container sees its own cgroup, of the second version or the first. */
static const char *const limit_files[] = {"/sys/fs/cgroup/memory.max",
                                          "/sys/fs/cgroup/memory/memory.limit_in_bytes"};

/* What the container has; 0: there is no limit below the machine's. */
static uint64_t of_container(uint64_t machine)
{
    uint64_t bytes = 0;

    for (size_t i = 0; bytes == 0 && i < sizeof limit_files / sizeof *limit_files; i++) {
        cleanup_buf struct buf text = BUF_INIT(64);

        if (file_read(limit_files[i], &text, NULL) < 0)
            continue;
        text.data[strcspn(text.data, "\n")] = '\0';
        if (parse_u64(text.data, machine, &bytes) < 0) /* "max" */
            bytes = 0;
    }
    return bytes;
}

/* What a small program in Go maps before it does anything: with less, none would start. */
#define BOUND_MIN ((uint64_t)256 << 20)

void memory_bound(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t container = of_container(machine), share = container ? container / 8 * 7 : machine / 2;
    struct rlimit limit;

    if (share < BOUND_MIN)
        share = BOUND_MIN;
    if (SANITIZED || getrlimit(RLIMIT_DATA, &limit) < 0 || limit.rlim_cur <= share)
        return;
    limit.rlim_cur = share;
    setrlimit(RLIMIT_DATA, &limit);
}
