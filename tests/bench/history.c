/* history COMMITS FILES BYTES BRANCHES TAGS: a repository for `git fast-import`, the same each
 * time.
 *
 * Text of made-up words in FILES files of about BYTES; each commit changes one or two of them.
 * Branches topic/<n> and tags v<n> lie evenly over the history. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"

#define WORDS 4000
#define WORD_MAX 9
#define CHANGE_LINES_MIN 60
#define CHANGE_LINES_MORE 240
#define FILE_MAX (4u << 20)
#define FOLDERS 40
#define EPOCH 1700000000u /* of the first commit; then one a minute */

static char words[WORDS][WORD_MAX + 1];
static uint64_t state = 88172645463325252u;

/* xorshift64 (Marsaglia, 2003): the same on every machine. */
static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 11) % n);
}

static void make_words(void)
{
    for (size_t i = 0; i < WORDS; i++) {
        unsigned len = 2 + below(WORD_MAX - 1);

        for (unsigned k = 0; k < len; k++)
            words[i][k] = (char)('a' + below(26));
    }
}

static void add_line(struct buf *to)
{
    for (unsigned n = 4 + below(11); n > 0; n--) {
        buf_adds(to, words[below(WORDS)]);
        buf_addc(to, n > 1 ? ' ' : '\n');
    }
}

static void fill(struct buf *file, unsigned bytes)
{
    size_t size = bytes / 2 + below(bytes + 1);

    while (file->len < size)
        add_line(file);
}

/* New lines in place of two, somewhere in the file. */
static void change(struct buf *file)
{
    struct buf next = BUF_INIT(FILE_MAX);
    size_t at = below((unsigned)file->len), rest;

    while (at > 0 && file->data[at - 1] != '\n')
        at--;
    buf_add(&next, file->data, at);
    for (unsigned n = CHANGE_LINES_MIN + below(CHANGE_LINES_MORE); n > 0; n--)
        add_line(&next);
    rest = at;
    for (int n = 0; n < 2 && rest < file->len; n++)
        rest += strcspn(file->data + rest, "\n") + 1;
    if (rest < file->len)
        buf_add(&next, file->data + rest, file->len - rest);
    buf_done(file);
    *file = next;
}

static void print_file(const struct buf *file, unsigned i)
{
    printf("M 100644 inline src/d%u/f%u.txt\ndata %zu\n%s\n", i % FOLDERS, i, file->len,
           file->data);
}

static void print_commit(struct buf *files, unsigned n_files, unsigned bytes, unsigned n)
{
    printf("commit refs/heads/main\nmark :%u\ncommitter A <a@example.org> %u +0000\n"
           "data <<END\nchange %u\nEND\n\n",
           n + 1, EPOCH + 60 * n, n);
    if (n == 0) {
        for (unsigned i = 0; i < n_files; i++) {
            fill(&files[i], bytes);
            print_file(&files[i], i);
        }
        return;
    }
    for (unsigned k = 1 + below(2); k > 0; k--) {
        unsigned i = below(n_files);

        change(&files[i]);
        print_file(&files[i], i);
    }
}

static void print_refs(const char *prefix, unsigned n, unsigned commits)
{
    for (unsigned i = 0; i < n; i++)
        printf("reset %s%05u\nfrom :%u\n\n", prefix, i, 1 + i % commits);
}

int main(int argc, char **argv)
{
    uint64_t numbers[5]; /* commits, files, bytes, branches, tags */
    struct buf *files;

    for (int i = 0; i < 5; i++)
        if (argc != 6 || parse_u64(argv[i + 1], 1000000, &numbers[i]) < 0 ||
            (i < 3 && numbers[i] == 0)) {
            fputs("usage: history COMMITS FILES BYTES BRANCHES TAGS\n", stderr);
            return 2;
        }
    files = calloc(numbers[1], sizeof *files);
    if (!files)
        return 1;
    for (size_t i = 0; i < numbers[1]; i++)
        files[i] = BUF_INIT(FILE_MAX);
    make_words();
    for (unsigned n = 0; n < numbers[0]; n++)
        print_commit(files, (unsigned)numbers[1], (unsigned)numbers[2], n);
    print_refs("refs/heads/topic/", (unsigned)numbers[3], (unsigned)numbers[0]);
    print_refs("refs/tags/v", (unsigned)numbers[4], (unsigned)numbers[0]);
    for (size_t i = 0; i < numbers[1]; i++)
        buf_done(&files[i]);
    free(files);
    return ferror(stdout) || fflush(stdout) != 0;
}
