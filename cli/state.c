#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/base64.h"

#define VALUE_MAX (2u << 20)
#define DIR_MODE 0700
#define PID_TEXT 16

static int default_dir(const char *gate, char **ret, struct error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int r;

    if (state && state[0] == '/')
        r = asprintf(ret, "%s/gitgate/%s", state, gate);
    else if (home && home[0] == '/')
        r = asprintf(ret, "%s/.local/state/gitgate/%s", home, gate);
    else
        return error_set(err, -EINVAL,
                         "no home folder to keep repositories in; name one with "
                         "--state-dir");
    if (r < 0) {
        *ret = NULL;
        return error_errno(err, -ENOMEM, "cannot name the state folder");
    }
    return 0;
}

/* Whoever else may write there could put a hook of his own into it. */
static int check_owner(const char *dir, struct error *err)
{
    struct stat st;

    if (stat(dir, &st) < 0)
        return error_errno(err, -errno, "cannot look at %s", dir);
    if (st.st_uid != geteuid())
        return error_set(err, -EPERM,
                         "%s belongs to another user; name a folder of your own with "
                         "--state-dir",
                         dir);
    if (st.st_mode & 0022)
        return error_set(err, -EPERM,
                         "%s can be written by others; make it yours alone (chmod "
                         "go-w) or name another with --state-dir",
                         dir);
    return 0;
}

int state_open(const char *dir, const char *gate, char **ret, struct error *err)
{
    cleanup_free char *named = NULL;
    cleanup_free char *absolute = NULL;
    int r = 0;

    if (!dir) {
        r = default_dir(gate, &named, err);
        dir = named;
    }
    if (r == 0)
        r = file_mkdirs(dir, DIR_MODE, err);
    if (r < 0)
        return r;
    absolute = realpath(dir, NULL);
    if (!absolute)
        return error_errno(err, -errno, "cannot find %s", dir);
    r = check_owner(absolute, err);
    if (r == 0)
        *ret = TAKE_PTR(absolute);
    return r;
}

/* ---- the lock ---- */

static int say_busy(const char *dir, int fd, struct error *err)
{
    char holder[PID_TEXT];
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);

    holder[n > 0 ? n : 0] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    return error_set(err, -EBUSY,
                     "%s is in use by another gitgate run%s%s; end it, or name another folder with "
                     "--state-dir",
                     dir, *holder ? ", process " : "", holder);
}

int state_lock(const char *dir, int *ret, struct error *err)
{
    cleanup_close int fd = -1;
    char path[PATH_MAX], self[PID_TEXT];
    int len = snprintf(self, sizeof self, "%d\n", (int)getpid());

    if (snprintf(path, sizeof path, "%s/lock", dir) >= (int)sizeof path)
        return error_set(err, -ENAMETOOLONG, "%s: path too long", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, -errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? say_busy(dir, fd, err)
                                    : error_errno(err, -errno, "cannot lock %s", path);
    /* Only for the message to who comes next. */
    if (ftruncate(fd, 0) < 0 || pwrite(fd, self, (size_t)len, 0) < 0)
        return error_errno(err, -errno, "cannot write %s", path);
    *ret = fd;
    fd = -1;
    return 0;
}

/* ---- writing ---- */

static int write_in(const char *dir, const char *sub, const char *name, const void *data,
                    size_t len, mode_t mode, struct error *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s/%s", dir, sub, name) >= (int)sizeof path)
        return error_set(err, -ENAMETOOLONG, "%s: path too long", dir);
    return file_write(path, data, len, mode, err);
}

static int write_config_map(const char *dir, const char *sub, json_t *object, struct error *err)
{
    json_auto_t *owned = object;
    const char *name;
    json_t *value;
    int r = owned ? 0 : error_errno(err, -ENOMEM, "cannot render %s", sub);

    json_object_foreach(json_object_get(owned, "data"), name, value) {
        const char *text = json_string_value(value);
        mode_t mode = strncmp(text, "#!", 2) == 0 ? 0700 : 0600;

        if (r == 0)
            r = write_in(dir, sub, name, text, strlen(text), mode, err);
    }
    return r;
}

static int write_secret(const char *dir, const json_t *secret, struct error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(secret, "data"), name, value) {
        struct buf bytes CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX);
        int r = base64_decode(json_string_value(value), json_string_length(value), &bytes);

        if (r < 0)
            return error_errno(err, r, "cannot decode %s", name);
        r = write_in(dir, "creds", name, bytes.data, bytes.len, 0600, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int remove_stale(const char *creds, const json_t *secret, struct error *err)
{
    DIR *dir CLEANUP(close_dir) = opendir(creds);
    struct dirent *entry;

    if (!dir)
        return error_errno(err, -errno, "cannot read %s", creds);
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            json_object_get(json_object_get(secret, "data"), name))
            continue;
        if (unlinkat(dirfd(dir), name, 0) < 0)
            return error_errno(err, -errno, "cannot remove %s/%s", creds, name);
    }
    return 0;
}

static int write_creds(const char *dir, const json_t *secret, struct error *err)
{
    char creds[PATH_MAX];
    int r;

    if (snprintf(creds, sizeof creds, "%s/creds", dir) >= (int)sizeof creds)
        return error_set(err, -ENAMETOOLONG, "%s: path too long", dir);
    r = file_mkdirs(creds, DIR_MODE, err);
    if (r == 0 && chmod(creds, DIR_MODE) < 0)
        r = error_errno(err, -errno, "cannot protect %s", creds);
    if (r == 0)
        r = remove_stale(creds, secret, err);
    return r < 0 ? r : write_secret(dir, secret, err);
}

int state_write(const char *dir, const struct input *input, const json_t *creds,
                const char *authority, struct error *err)
{
    int r = creds ? write_creds(dir, creds, err)
                  : error_errno(err, -ENOMEM, "cannot render the credentials");

    if (r == 0)
        r = write_config_map(dir, "config", render_hooks(&input->gate), err);
    if (r == 0)
        r = write_config_map(dir, "client", render_client(&input->gate, authority), err);
    return r;
}
