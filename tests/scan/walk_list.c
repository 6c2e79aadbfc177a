/* walk-list < COMMANDS > LIST: in a pre-receive hook's place, the walk's list of what is new, as
 * rev-list writes it. Exit code 3: the walk gives way to git; 1: no push. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "walk/walk.h"

#define GIVES_WAY 3

int main(void)
{
    cleanup_buf struct buf text = BUF_INIT(PUSH_COMMANDS_BYTES_MAX), lines = BUF_INIT(64u << 20);
    cleanup_push struct push push = PUSH_INIT;
    cleanup_walk struct walk walk = WALK_INIT;
    struct error err = ERROR_INIT;
    char repo[PATH_MAX], *to;
    ssize_t n;

    while ((to = buf_reserve(&text, 4096)) && (n = read(STDIN_FILENO, to, 4096)) > 0)
        text.len += (size_t)n;
    if (!to || !getcwd(repo, sizeof repo) || push_parse(text.data, text.len, &push, &err) < 0)
        return 1;
    if (!walk_push(repo, &push, &walk))
        return GIVES_WAY;
    for (size_t i = 0; i < walk.n; i++) {
        walk_line(&walk.list[i], &lines);
        buf_addc(&lines, '\n');
    }
    return buf_error(&lines) || fwrite(lines.data, 1, lines.len, stdout) != lines.len;
}
