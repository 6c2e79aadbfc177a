#include "clean.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TABLE_BYTES ((size_t)CLEAN_SLOTS * CLEAN_ENTRY)

void clean_open(const struct gate *gate, const struct rulebook *book, struct clean *ret)
{
    char path[PATH_MAX];
    cleanup_close int fd = -1;
    void *map;

    *ret = CLEAN_INIT;
    memcpy(ret->key, book->key, sizeof ret->key);
    if (path_make(path, NULL, "%s/" CLEAN_FILE, gate->repos_dir) < 0)
        return;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    /* All of it exists before it is mapped: a full disk must not be met by writing to memory. */
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)TABLE_BYTES) != 0)
        return;
    map = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ret->table = map == MAP_FAILED ? NULL : map;
}

void clean_done(struct clean *clean)
{
    if (clean->table)
        munmap(clean->table, TABLE_BYTES);
    clean->table = NULL;
}

static bool hash(const struct clean *clean, const char *object, unsigned char to[EVP_MAX_MD_SIZE])
{
    static const char program[] = GITGATE_VERSION; /* decides what is looked at */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool hashed = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                  EVP_DigestUpdate(context, clean->key, sizeof clean->key) == 1 &&
                  EVP_DigestUpdate(context, program, sizeof program) == 1 &&
                  EVP_DigestUpdate(context, object, strlen(object)) == 1 &&
                  EVP_DigestFinal_ex(context, to, NULL) == 1;

    EVP_MD_CTX_free(context);
    return hashed;
}

/* Which of the slots is its own: by bytes that are not in the entry. */
static unsigned char *slot(const struct clean *clean, const unsigned char *digest)
{
    uint32_t at;

    memcpy(&at, digest + CLEAN_ENTRY, sizeof at);
    return clean->table[at % CLEAN_SLOTS];
}

bool clean_has(const struct clean *clean, const char *object)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    return clean->table && hash(clean, object, digest) &&
           memcmp(slot(clean, digest), digest, CLEAN_ENTRY) == 0;
}

void clean_add(struct clean *clean, const char *object)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (clean->table && hash(clean, object, digest))
        memcpy(slot(clean, digest), digest, CLEAN_ENTRY);
}
