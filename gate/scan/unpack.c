#include "scan/unpack.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "scan/gunzip.h"
#include "scan/libarchive.h"
#include "scan/zip.h"

/* What libarchive may take for one container. It has no cap for a sparse file's list of holes, and
 * keeps 56 bytes for four of the file's; the largest windows of xz and zstd (128 MiB, as their
 * programs make them) fit. */
#define MEMORY_MAX (160u << 20)

#define TAR_BLOCK 512
#define TAR_SUM_AT 148
#define TAR_SUM_LEN 8

/* ---- what it is ---- */

static bool starts(const char *data, size_t len, const char *magic, size_t n)
{
    return len >= n && memcmp(data, magic, n) == 0;
}

#define STARTS(data, len, magic) starts(data, len, magic, sizeof(magic) - 1)

/* The sum of the header's bytes, the sum's own place taken as spaces, stands in it in octal: that
 * tells a tar file of any flavour (tar(5)), the one without a magic, too. Some add signed bytes. */
static bool is_tar(const char *data, size_t len)
{
    int sum = 0, sum_of_signed = 0, said = 0;
    size_t at = TAR_SUM_AT;

    if (len < TAR_BLOCK || !data[0])
        return false;
    while (data[at] == ' ' && at < TAR_SUM_AT + TAR_SUM_LEN)
        at++;
    if (data[at] < '0' || data[at] > '7')
        return false;
    for (; at < TAR_SUM_AT + TAR_SUM_LEN && data[at] >= '0' && data[at] <= '7'; at++)
        said = said * 8 + (data[at] - '0');
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        char c = i >= TAR_SUM_AT && i < TAR_SUM_AT + TAR_SUM_LEN ? ' ' : data[i];

        sum += (unsigned char)c;
        sum_of_signed += (signed char)c;
    }
    return sum == said || sum_of_signed == said;
}

static bool is_skippable(const char *data, size_t len)
{
    return len >= 8 && (data[0] & 0xf0) == 0x50 && memcmp(data + 1, "\x2a\x4d\x18", 3) == 0;
}

static bool is_compressed(const char *data, size_t len)
{
    return STARTS(data, len,
                  "\xfd"
                  "7zXZ\0") ||
           STARTS(data, len, "\x28\xb5\x2f\xfd") || is_skippable(data, len) ||
           (STARTS(data, len, "BZh") && len > 9 &&
            (memcmp(data + 4, "1AY&SY", 6) == 0 || memcmp(data + 4, "\x17rE8P\x90", 6) == 0));
}

bool unpack_recognises(const char *data, size_t len)
{
    return zip_begins(data, len) || gunzip_begins(data, len) || is_compressed(data, len) ||
           is_tar(data, len);
}

bool unpack_may(const char *data, size_t len)
{
    return unpack_recognises(data, len) || zip_ends(data, len);
}

/* ---- reading it ---- */

/* One way of reading it. */
struct unpacking {
    const struct libarchive *lib;
    struct archive *archive;
    uint64_t in, out;
    bool filters; /* a compressed file, no archive */
    struct unpack_budget *budget;
    const struct unpack_sink *sink;
};

static int charge(struct unpacking *u, size_t len, struct error *err)
{
    u->out += len;
    if (u->out > UNPACK_RATIO_FROM && u->out / UNPACK_RATIO_MAX > u->in)
        return error_set(err, -EFBIG,
                         "a compressed file of this push unpacks to more than %u times its size",
                         UNPACK_RATIO_MAX);
    if (len > u->budget->bytes)
        return error_set(err, -EFBIG,
                         "the archives of this push unpack to more than the gate can scan");
    u->budget->bytes -= len;
    return 0;
}

static int charge_member(struct unpacking *u, struct error *err)
{
    if (u->budget->members == 0)
        return error_set(err, -EFBIG,
                         "the archives of this push have more members than the gate can scan");
    u->budget->members--;
    return 0;
}

static int give(struct unpacking *u, const char *data, size_t len, struct error *err)
{
    int r = charge(u, len, err);

    return r < 0 ? r : u->sink->data_in(u->sink->data, data, len, err);
}

/* libarchive has no number for all of it: of what liblzma and libbz2 couldn't allocate malloc's is
 * left, of a window that zstd doesn't take (more than 128 MiB) there are words alone. */
static bool lacked_memory(const struct unpacking *u)
{
    const char *said = u->lib->archive_error_string(u->archive);

    return errno == ENOMEM || u->lib->archive_errno(u->archive) == ENOMEM ||
           (said && strstr(said, "memory"));
}

/* What is damaged has ended. What could be read with more memory has not. Asked wherever something
 * is left out. */
static int judge_end(const struct unpacking *u, struct error *err)
{
    return lacked_memory(u)
               ? error_set(err, -EFBIG,
                           "a container of this push takes more memory to unpack than the gate "
                           "gives it")
               : 0;
}

/* A member's content; where it can't be read any more it ends. 1: nothing behind it can be read. */
static int read_member(struct unpacking *u, struct archive_entry *entry, struct error *err)
{
    const char *target = u->lib->archive_entry_symlink(entry);
    int r = target ? give(u, target, strlen(target), err) : 0, status = ARCHIVE_OK;

    while (r == 0) {
        const void *data = NULL; /* ARCHIVE_RETRY leaves them alone */
        size_t len = 0;
        la_int64_t offset;

        errno = 0; /* for judge_end */
        status = u->lib->archive_read_data_block(u->archive, &data, &len, &offset);
        if (status == ARCHIVE_EOF || status < ARCHIVE_WARN)
            break;
        r = give(u, data, len, err);
    }
    if (r == 0 && status < ARCHIVE_WARN)
        r = judge_end(u, err);
    return r < 0 ? r : status == ARCHIVE_FATAL;
}

static int next_member(struct unpacking *u, struct archive_entry **ret)
{
    errno = 0; /* for judge_end */
    return u->lib->archive_read_next_header(u->archive, ret);
}

/* By its path the rules may judge it: one that can't be had for want of memory is not none. */
static int begin_member(const struct unpacking *u, struct archive_entry *entry, struct error *err)
{
    const char *name;

    errno = 0; /* for judge_end */
    name = u->lib->archive_entry_pathname_utf8(entry);
    name = name ? name : u->lib->archive_entry_pathname(entry);
    if (!name && judge_end(u, err) < 0)
        return -EFBIG;
    return u->sink->begin(u->sink->data, name, name ? strnlen(name, UNPACK_NAME_MAX) : 0, err);
}

static int read_members(struct unpacking *u, struct error *err)
{
    struct archive_entry *entry;
    int r = 0, status = ARCHIVE_OK;

    while (r == 0 && (status = next_member(u, &entry)) != ARCHIVE_EOF && status != ARCHIVE_FATAL) {
        if (u->filters && u->lib->archive_filter_code(u->archive, 0) == ARCHIVE_FILTER_NONE)
            return judge_end(u, err); /* not compressed after all: it would come out as it is */
        if (status < ARCHIVE_WARN) {
            r = judge_end(u, err);
            continue;
        }
        r = charge_member(u, err);
        if (r == 0)
            r = begin_member(u, entry, err);
        if (r == 0)
            r = read_member(u, entry, err);
        if (r == 0)
            r = u->sink->end(u->sink->data, err);
        else if (r > 0 && (status = u->sink->end(u->sink->data, err)) < 0)
            r = status;
    }
    if (r == 0 && status < ARCHIVE_WARN)
        r = judge_end(u, err);
    return r < 0 ? r : 0;
}

static void unpacking_done(struct unpacking *u)
{
    if (u->archive)
        u->lib->archive_read_free(u->archive);
    u->archive = NULL;
}

enum format { TAR, ZIP, COMPRESSED };

/* ARCHIVE_OK when all that is wanted is there: a filter that is not leaves what it would unpack. */
static int set_format(const struct unpacking *u, enum format format)
{
    const struct libarchive *lib = u->lib;

    switch (format) {
    case TAR:
        return lib->archive_read_support_format_tar(u->archive);
    case ZIP:
        return lib->archive_read_support_format_zip_streamable(u->archive);
    case COMPRESSED:
        if (lib->archive_read_support_filter_bzip2(u->archive) != ARCHIVE_OK ||
            lib->archive_read_support_filter_xz(u->archive) != ARCHIVE_OK ||
            lib->archive_read_support_filter_zstd(u->archive) != ARCHIVE_OK)
            return ARCHIVE_FATAL;
        return lib->archive_read_support_format_raw(u->archive);
    }
    return ARCHIVE_FATAL;
}

static int begin_reading(struct unpacking *u, enum format format, struct error *err)
{
    u->lib = libarchive_load(err);
    if (!u->lib)
        return -ENOENT;
    u->archive = u->lib->archive_read_new();
    if (!u->archive || set_format(u, format) != ARCHIVE_OK)
        return error_errno(err, -ENOMEM, "cannot read an archive");
    return 0;
}

static int read_as(const char *data, size_t len, enum format format, struct unpack_budget *budget,
                   const struct unpack_sink *sink, struct error *err)
{
    struct memory_cap cap CLEANUP(memory_uncap) = {.capped = false};
    struct unpacking u CLEANUP(unpacking_done) = {
        .in = len, .filters = format == COMPRESSED, .budget = budget, .sink = sink};
    int r = begin_reading(&u, format, err);

    if (r < 0)
        return r;
    memory_cap(MEMORY_MAX, &cap);
    errno = 0; /* for judge_end */
    if (u.lib->archive_read_open_memory(u.archive, data, len) != ARCHIVE_OK)
        return judge_end(&u, err);
    return read_members(&u, err);
}

/* ---- a gzip file ---- */

static int give_gunzipped(void *data, const char *bytes, size_t len, struct error *err)
{
    return give(data, bytes, len, err);
}

static int read_gzip(const char *data, size_t len, struct unpack_budget *budget,
                     const struct unpack_sink *sink, struct error *err)
{
    struct unpacking u = {.in = len, .budget = budget, .sink = sink};
    int r = charge_member(&u, err);

    if (r == 0)
        r = sink->begin(sink->data, UNPACK_UNNAMED, strlen(UNPACK_UNNAMED), err);
    if (r == 0)
        r = gunzip(data, len, give_gunzipped, &u, err);
    return r < 0 ? r : sink->end(sink->data, err);
}

/* ---- a zip file by its directory ---- */

struct zipped {
    struct unpacking u;
    const struct zip_member *member;
    unsigned next; /* part of it that libarchive gets */
};

static la_ssize_t next_part(struct archive *archive, void *data, const void **ret)
{
    struct zipped *z = data;
    const struct zip_member *m = z->member;
    const struct iovec parts[] = {{(char *)m->header, sizeof m->header},
                                  {(char *)m->name, m->name_len},
                                  {(char *)m->bytes, m->len}};

    (void)archive;
    while (z->next < 3 && parts[z->next].iov_len == 0)
        z->next++;
    if (z->next == 3)
        return 0;
    *ret = parts[z->next].iov_base;
    return (la_ssize_t)parts[z->next++].iov_len;
}

static int read_zipped(struct zipped *z, const struct zip_member *member, struct error *err)
{
    int r = begin_reading(&z->u, ZIP, err);

    z->member = member;
    z->next = 0;
    errno = 0; /* for judge_end */
    if (r == 0 && z->u.lib->archive_read_open(z->u.archive, z, NULL, next_part, NULL) != ARCHIVE_OK)
        r = judge_end(&z->u, err);
    else if (r == 0)
        r = read_members(&z->u, err);
    unpacking_done(&z->u);
    return r;
}

/* One that shows nothing counts, too: a directory may name any number of those. */
static int take_zipped(void *data, const struct zip_member *member, struct error *err)
{
    struct zipped *z = data;
    uint64_t before = z->u.budget->members;
    int r = member->bytes ? read_zipped(z, member, err) : 0;

    return r < 0 || z->u.budget->members < before ? r : charge_member(&z->u, err);
}

static int read_directory(const char *data, size_t len, struct unpack_budget *budget,
                          const struct unpack_sink *sink, struct error *err)
{
    struct memory_cap cap CLEANUP(memory_uncap) = {.capped = false};
    struct zipped z = {.u = {.in = len, .budget = budget, .sink = sink}};

    if (!libarchive_load(err))
        return -ENOENT;
    memory_cap(MEMORY_MAX, &cap);
    return zip_each(data, len, UNPACK_NAME_MAX, take_zipped, &z, err);
}

/* zstd's frames of something else (RFC 8878, 3.1.2) may stand first; libarchive stumbles there. */
static void pass_skippable(const char **data, size_t *len)
{
    while (is_skippable(*data, *len)) {
        const unsigned char *p = (const unsigned char *)*data;
        size_t frame =
            8 + ((size_t)p[4] | (size_t)p[5] << 8 | (size_t)p[6] << 16 | (size_t)p[7] << 24);

        frame = frame < *len ? frame : *len;
        *data += frame;
        *len -= frame;
    }
}

/* A zip file is read by its directory, as most programs do, and from its start, as a stream is:
 * what one of the two does not show is there all the same. */
int unpack(const char *data, size_t len, struct unpack_budget *budget,
           const struct unpack_sink *sink, struct error *err)
{
    int r = 0;

    if (is_tar(data, len))
        r = read_as(data, len, TAR, budget, sink, err);
    if (r == 0 && gunzip_begins(data, len))
        r = read_gzip(data, len, budget, sink, err);
    if (r == 0 && is_compressed(data, len)) {
        const char *from = data;
        size_t left = len;

        pass_skippable(&from, &left);
        r = read_as(from, left, COMPRESSED, budget, sink, err);
    }
    if (r == 0 && zip_begins(data, len))
        r = read_as(data, len, ZIP, budget, sink, err);
    if (r == 0 && zip_ends(data, len))
        r = read_directory(data, len, budget, sink, err);
    return r;
}
