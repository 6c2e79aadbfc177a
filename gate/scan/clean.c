#include "scan/clean.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "scan/libarchive.h"

#define TABLE_BYTES ((size_t)CLEAN_SLOTS * CLEAN_ENTRY)

/* ---- the key ---- */

struct note {
    const char *data;
    size_t len;
};

static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

/* elf(5), Notes: a header, the owner's name, the content, each padded to four bytes. */
static void find_build_id(const char *at, const char *end, struct note *ret)
{
    static const char owner[] = "GNU";

    while ((size_t)(end - at) > sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *header = (const void *)at;
        const char *name = at + sizeof *header;
        size_t len = padded(header->n_namesz) + padded(header->n_descsz);

        if ((size_t)(end - name) < len)
            return;
        if (header->n_type == NT_GNU_BUILD_ID && header->n_namesz == sizeof owner &&
            memcmp(name, owner, sizeof owner) == 0)
            *ret = (struct note){.data = name + padded(sizeof owner), .len = header->n_descsz};
        at = name + len;
    }
}

/* The first object is the program. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const char *at = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);

        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            find_build_id(at, at + info->dlpi_phdr[i].p_memsz, data);
    }
    return 1;
}

void clean_key(const uint8_t rules[RULES_KEY_LEN], const void *program, size_t len,
               uint8_t to[CLEAN_KEY_LEN])
{
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, RULES_KEY_LEN, rules);
    sha256_update(&context, len, program);
    sha256_digest(&context, CLEAN_KEY_LEN, to);
}

/* ---- the table ---- */

void clean_open(const struct gate *gate, const struct rulebook *book, struct clean *ret)
{
    struct note program = {0};
    char path[PATH_MAX];
    cleanup_close int fd = -1;
    void *map;

    *ret = CLEAN_INIT;
    dl_iterate_phdr(look_at_program, &program);
    if (program.len == 0)
        return; /* stripped of what tells it from others: it trusts none */
    clean_key(book->key, program.data, program.len, ret->key);
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

/* Entries of an object say: it is clean; it is, if that is what this version of libarchive shows.
 * The second one alone tells that the library has to be asked for its version. */
static const char as_it_is[] = "", opened[] = "opened";

static void hash(const struct clean *clean, const char *how, const char *object,
                 uint8_t to[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx context;

    sha256_init(&context);
    sha256_update(&context, sizeof clean->key, clean->key);
    sha256_update(&context, strlen(how) + 1, (const uint8_t *)how);
    sha256_update(&context, strlen(object), (const uint8_t *)object);
    sha256_digest(&context, SHA256_DIGEST_SIZE, to);
}

/* Which of the slots is its own: by bytes that are not in the entry. */
static uint8_t *slot(const struct clean *clean, const uint8_t *digest)
{
    uint32_t at;

    memcpy(&at, digest + CLEAN_ENTRY, sizeof at);
    return clean->table[at % CLEAN_SLOTS];
}

static bool has(const struct clean *clean, const char *how, const char *object)
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    hash(clean, how, object, digest);
    return memcmp(slot(clean, digest), digest, CLEAN_ENTRY) == 0;
}

static void add(struct clean *clean, const char *how, const char *object)
{
    uint8_t digest[SHA256_DIGEST_SIZE];

    hash(clean, how, object, digest);
    memcpy(slot(clean, digest), digest, CLEAN_ENTRY);
}

static const char *opener(void)
{
    const struct libarchive *library = libarchive_load(NULL);

    return library ? library->archive_version_string() : NULL;
}

bool clean_has(const struct clean *clean, const char *object)
{
    const char *version;

    if (!clean->table)
        return false;
    if (has(clean, as_it_is, object))
        return true;
    return has(clean, opened, object) && (version = opener()) && has(clean, version, object);
}

void clean_add(struct clean *clean, const char *object, enum clean_by by)
{
    const char *version = by == CLEAN_BY_LIBARCHIVE ? opener() : NULL;

    if (!clean->table)
        return;
    if (by == CLEAN_AS_IT_IS) {
        add(clean, as_it_is, object);
    } else if (version) {
        add(clean, opened, object);
        add(clean, version, object);
    }
}
