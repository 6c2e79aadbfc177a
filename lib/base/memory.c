#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

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
