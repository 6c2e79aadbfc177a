/* Any bytes are a commit, its tree and the tree of its parent, which is the tip of a ref: a walk is
 * certain of them or is not, and reads nothing but them. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "walk/walk.h"

#define OBJECT_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/gitgate-fuzz-walk-XXXXXX";
static char written[8][512]; /* objects, to be removed */
static size_t n_written;

static void remove_folder(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        abort();
}

static void make_folder(void)
{
    static const char *const names[] = {"objects", "objects/in", "refs", "refs/heads"};
    char path[256], in[256];

    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (mkdir(path, 0700) < 0)
            abort();
    }
    snprintf(path, sizeof path, "%s/objects", folder);
    snprintf(in, sizeof in, "%s/objects/in", folder);
    setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", path, 1);
    setenv("GIT_QUARANTINE_PATH", in, 1);
    setenv("GIT_OBJECT_DIRECTORY", in, 1);
}

static void write_file(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd) < 0)
        abort();
}

static void hash(const char *data, size_t len, char hex[41])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context || EVP_DigestInit_ex(context, EVP_sha1(), NULL) != 1 ||
        EVP_DigestUpdate(context, data, len) != 1 || EVP_DigestFinal_ex(context, digest, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
    for (size_t i = 0; i < 20; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void add_object(const char *where, const char *kind, const void *data, size_t len,
                       char hex[41])
{
    static char whole[OBJECT_MAX + 64];
    static unsigned char packed[OBJECT_MAX + 1024];
    uLongf n = sizeof packed;
    char *path = written[n_written++];
    size_t head = (size_t)snprintf(whole, sizeof whole, "%s %zu", kind, len) + 1;

    memcpy(whole + head, data, len);
    hash(whole, head + len, hex);
    if (compress2(packed, &n, (unsigned char *)whole, head + len, 1) != Z_OK)
        abort();
    snprintf(path, sizeof written[0], "%s/%s/%.2s", folder, where, hex);
    mkdir(path, 0700);
    snprintf(path, sizeof written[0], "%s/%s/%.2s/%s", folder, where, hex, hex + 2);
    write_file(path, packed, n);
}

static size_t compose_commit(const char *tree, const char *parent, const uint8_t *data, size_t size,
                             char *to)
{
    size_t n = (size_t)sprintf(to, "tree %s\nparent %s\nauthor ", tree, parent);

    memcpy(to + n, data, size);
    return n + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char commit[OBJECT_MAX];
    char tree[41], old_tree[41], parent[41], tip[41], path[256];
    cleanup_walk struct walk walk = WALK_INIT;
    struct push_command command = {.ref = "refs/heads/main", .change = CHANGE_UPDATE};
    struct push push = {.commands = &command, .n = 1};
    size_t first, second, len;

    if (size < 3 || size > OBJECT_MAX / 2)
        return 0;
    if (strstr(folder, "XXXXXX"))
        make_folder();
    first = 3 + data[0] % (size - 2);
    second = first + (size - first ? data[1] % (size - first) : 0);
    add_object("objects/in", "tree", data + 3, first - 3, tree);
    add_object("objects", "tree", data + first, second - first, old_tree);
    len = (size_t)sprintf(commit, "tree %s\nauthor x\n", old_tree);
    add_object("objects", "commit", commit, len, parent);
    len = data[2] % 2 ? compose_commit(tree, parent, data + second, size - second, commit)
                      : (size_t)sprintf(commit, "%.*s", (int)(size - second), data + second);
    add_object("objects/in", "commit", commit, len, tip);
    snprintf(path, sizeof path, "%s/refs/heads/main", folder);
    len = (size_t)sprintf(commit, "%s\n", parent);
    write_file(path, commit, len);
    snprintf(command.old_oid, sizeof command.old_oid, "%s", parent);
    snprintf(command.new_oid, sizeof command.new_oid, "%s", tip);
    if (walk_push(folder, &push, &walk) && (walk.n == 0 || !walk.ahead) && data[2] % 2)
        abort();
    while (n_written > 0)
        unlink(written[--n_written]);
    return 0;
}
