/* Any bytes are a delta and its base, a loose object, or a pack with an index that says so: what is
 * made of them lies within its caps, and is freed. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walk/odb.h"

#define PACK_OBJECTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/gitgate-fuzz-odb-XXXXXX";
static bool made; /* the folder; its name may hold any letter */

static void remove_folder(void)
{
    static const char *const names[] = {
        "pack/a.pack", "pack/a.idx", "00/00000000000000000000000000000000000000", "pack", "00", ""};
    char path[256];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
}

static void make_folder(void)
{
    char path[256];

    if (!mkdtemp(folder))
        abort();
    made = true;
    atexit(remove_folder);
    for (const char *const *name = (const char *[]){"pack", "00", NULL}; *name; name++) {
        snprintf(path, sizeof path, "%s/%s", folder, *name);
        if (mkdir(path, 0700) < 0)
            abort();
    }
}

static void write_file(const char *name, const uint8_t *data, size_t len)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd) < 0)
        abort();
}

static void read_all(void)
{
    struct odb *odb = NULL;

    if (odb_open(folder, &odb) < 0)
        return;
    for (uint8_t i = 0; i < PACK_OBJECTS; i++) {
        uint8_t id[ODB_ID_LEN] = {[ODB_ID_LEN - 1] = i};
        struct odb_object object;

        odb_has(odb, id);
        if (odb_read(odb, id, &object) == 0 && object.len > ODB_OBJECT_MAX)
            abort();
        free(object.data);
    }
    odb_free(odb);
}

static void try_delta(const uint8_t *data, size_t size)
{
    size_t base = size > 0 ? data[0] % size : 0, len = 0;
    char *made = NULL;

    if (odb_apply_delta((const char *)data, base, (const char *)data + base, size - base, &made,
                        &len) == 0 &&
        (len > ODB_OBJECT_MAX || made[len] != '\0'))
        abort();
    free(made);
}

/* Its objects begin wherever the first bytes say. */
static void try_pack(const uint8_t *data, size_t size)
{
    uint8_t idx[8 + 1024 + PACK_OBJECTS * 28 + 40] = {0xff, 't', 'O', 'c', 0, 0, 0, 2};
    uint8_t *ids = idx + 8 + 1024, *offsets = ids + PACK_OBJECTS * 24;

    if (size < PACK_OBJECTS)
        return;
    for (unsigned i = 0; i < 256; i++)
        idx[8 + 4 * i + 3] = PACK_OBJECTS;
    for (uint8_t i = 0; i < PACK_OBJECTS; i++) {
        ids[i * ODB_ID_LEN + ODB_ID_LEN - 1] = i;
        offsets[4 * i + 3] = data[i];
    }
    write_file("pack/a.idx", idx, sizeof idx);
    write_file("pack/a.pack", data, size);
    read_all();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!made)
        make_folder();
    if (size == 0)
        return 0;
    if (data[0] % 3 == 0) {
        try_delta(data + 1, size - 1);
    } else if (data[0] % 3 == 1) {
        try_pack(data + 1, size - 1);
    } else {
        write_file("00/00000000000000000000000000000000000000", data + 1, size - 1);
        read_all();
    }
    return 0;
}
