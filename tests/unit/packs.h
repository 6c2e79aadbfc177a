/* A folder of objects, as a test makes it: loose ones and packs, right and wrong. */
#ifndef GITGATE_TESTS_UNIT_PACKS_H
#define GITGATE_TESTS_UNIT_PACKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "walk/odb.h"

#define FILE_MAX (32u << 20)
#define BLOB 0x30 /* a blob in a pack, shorter than 16 bytes */

static char folder[] = "/tmp/gitgate-odb-XXXXXX";

/* ---- a folder of objects ---- */

static inline void path_of(const char *name, char to[4096])
{
    snprintf(to, 4096, "%s/%s", folder, name);
}

static inline void write_file(const char *name, const void *data, size_t len)
{
    char path[4096];
    FILE *file;

    path_of(name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static inline int make_folder(void **state)
{
    char path[4096];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    for (const char *const *name = (const char *[]){"pack", "info", "00", NULL}; *name; name++) {
        path_of(*name, path);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    return 0;
}

static inline int remove_folder(void **state)
{
    static const char *const names[] = {"pack/a.pack", "pack/a.idx", "info/alternates"};
    char path[4096];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(names[i], path);
        unlink(path);
    }
    return 0;
}

static inline int remove_all(void **state)
{
    char command[4096];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static inline void id_of(const char *kind, const char *data, size_t len, uint8_t id[ODB_ID_LEN])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char head[64];
    int n = snprintf(head, sizeof head, "%s %zu", kind, len) + 1;

    assert_true(EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(context, head, (size_t)n) == 1 &&
                EVP_DigestUpdate(context, data, len) == 1 &&
                EVP_DigestFinal_ex(context, id, NULL) == 1);
    EVP_MD_CTX_free(context);
}

static inline void add_stream(struct buf *to, const void *data, size_t len)
{
    uLongf n = compressBound(len);
    Bytef *out = malloc(n);

    assert_int_equal(compress(out, &n, data, len), Z_OK);
    buf_add(to, out, n);
    free(out);
}

static inline void add_be32(struct buf *to, uint32_t n)
{
    buf_add(to, (uint8_t[]){(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n},
            4);
}

static inline void begin_pack(struct buf *pack)
{
    buf_add(pack, "PACK\0\0\0\2\0\0\0\1", 12);
}

static inline void add_trailer(struct buf *to, size_t len)
{
    static const char zeros[40];

    buf_add(to, zeros, len);
}

/* One object, wherever it is said to lie. */
static inline void write_idx(const uint8_t id[ODB_ID_LEN], uint32_t offset)
{
    cleanup_buf struct buf idx = BUF_INIT(FILE_MAX);

    buf_add(&idx, "\377tOc\0\0\0\2", 8);
    for (unsigned i = 0; i < 256; i++)
        add_be32(&idx, i >= id[0]);
    buf_add(&idx, id, ODB_ID_LEN);
    add_be32(&idx, 0);
    add_be32(&idx, offset);
    add_trailer(&idx, 40);
    write_file("pack/a.idx", idx.data, idx.len);
}

static inline void write_pack(struct buf *pack)
{
    add_trailer(pack, 20);
    assert_int_equal(buf_error(pack), 0);
    write_file("pack/a.pack", pack->data, pack->len);
}

static inline int read_one(const uint8_t id[ODB_ID_LEN], struct odb_object *ret)
{
    struct odb *odb = NULL;
    int r = odb_open(folder, &odb);

    *ret = (struct odb_object){0};
    if (r == 0)
        r = odb_read(odb, id, ret);
    odb_free(odb);
    return r;
}

static inline void expect_failure(const uint8_t id[ODB_ID_LEN])
{
    struct odb_object object;

    assert_true(read_one(id, &object) < 0);
    assert_null(object.data);
}

static inline void expect_blob(const uint8_t id[ODB_ID_LEN], const char *text)
{
    struct odb_object object;

    assert_int_equal(read_one(id, &object), 0);
    assert_int_equal(object.kind, ODB_BLOB);
    assert_int_equal(object.len, strlen(text));
    assert_string_equal(object.data, text);
    free(object.data);
}

/* A pack of one entry: its header, and the zlib stream of what comes behind. */
static inline void write_entry(const char *head, size_t head_len, const char *content, size_t len)
{
    cleanup_buf struct buf pack = BUF_INIT(FILE_MAX);

    begin_pack(&pack);
    buf_add(&pack, head, head_len);
    add_stream(&pack, content, len);
    write_pack(&pack);
}

/* A short blob as the only entry of the pack and its index. */
static inline void write_packed_blob(const char *text, uint8_t id[ODB_ID_LEN])
{
    size_t len = strlen(text);

    write_entry((char[]){(char)(BLOB | len)}, 1, text, len);
    id_of("blob", text, len, id);
    write_idx(id, 12);
}

#endif
