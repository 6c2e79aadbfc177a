#include "scan/libarchive.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

/* The library's name is that of its binary interface, the same for all of version 3. */
#define LIBARCHIVE_FILE "libarchive.so.13"
_Static_assert(ARCHIVE_VERSION_NUMBER / 1000000 == 3, "another libarchive: see its soname");

static struct libarchive library;
static bool loaded;

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define X(name) {#name, offsetof(struct libarchive, name)},
    LIBARCHIVE_FUNCTIONS(X)
#undef X
};

const struct libarchive *libarchive_load(struct error *err)
{
    void *handle = loaded ? NULL : dlopen(LIBARCHIVE_FILE, RTLD_NOW | RTLD_LOCAL);

    if (!loaded && !handle) {
        error_set(err, -ENOENT, "cannot open an archive: %.300s", dlerror());
        return NULL;
    }
    for (size_t i = 0; !loaded && i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);

        if (!function) {
            error_set(err, -ENOENT, "cannot open an archive: " LIBARCHIVE_FILE " has no %s",
                      functions[i].name);
            return NULL;
        }
        *(void **)((char *)&library + functions[i].offset) = function;
    }
    loaded = true;
    return &library;
}

bool libarchive_loaded(void)
{
    return loaded;
}
