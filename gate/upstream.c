#include "upstream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/ip.h"
#include "base/buf.h"
#include "base/file.h"
#include "git.h"
#include "words.h"

#define CRED_MAX (1u << 20)
#define CONNECT_TIMEOUT_S 10 /* a name, a TCP handshake, a banner */
/* A network that went silent is noticed in 15 s, whatever git is doing. */
#define ALIVE_INTERVAL_S 5
#define ALIVE_COUNT 3
/* An agent comes back within minutes; a process of 8 MB an upstream waits for it that long. */
#define PERSIST_S 300
#define CONFIG_MAX 4096
#define DIGEST_HEX 16 /* names a socket among a handful: no need for more */
#define SOCKET_PREFIX "ssh-"
#define EXIT_TIMEOUT_MS 5000

const char *upstream_address(const struct gate *gate, const struct upstream *upstream)
{
    struct ip literal;

    if (ip_parse(upstream->url.host, &literal) == 0)
        return NULL; /* no name: /etc/hosts would not be asked either */
    return gitgate_extra_ip(&gate->spec, upstream->url.host);
}

/* ---- links from the repository to the credentials ---- */

static int link_to(const char *target, const char *path, struct error *err)
{
    char there[PATH_MAX], temporary[PATH_MAX];
    ssize_t n = readlink(path, there, sizeof there - 1);

    if (n >= 0) {
        there[n] = '\0';
        if (strcmp(there, target) == 0)
            return 0;
    }
    if (path_make(temporary, err, "%s.new", path) < 0)
        return -ENAMETOOLONG;
    unlink(temporary);
    if (symlink(target, temporary) < 0 || rename(temporary, path) < 0)
        return error_errno(err, -errno, "cannot link to the upstream's credential");
    return 0;
}

/* OWN_DIR/<what> leads to <creds>/<name>-<what>; whether there is something at the end of it. */
static int link_cred(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     const char *what, bool *there, struct error *err)
{
    char target[PATH_MAX], path[PATH_MAX];
    struct stat st;
    int r = gate_cred_path(gate, upstream, what, target, err);

    if (r == 0)
        r = path_make(path, err, "%s/" OWN_DIR "/%s", repo, what);
    if (r == 0)
        r = link_to(target, path, err);
    if (r == 0)
        *there = stat(path, &st) == 0 && st.st_size > 0;
    return r;
}

/* ---- which connection ---- */

static int digest_file(struct sha256_ctx *md, const char *repo, const char *what, struct error *err)
{
    struct buf content CLEANUP(buf_wipe) = BUF_INIT(CRED_MAX);
    char path[PATH_MAX];
    int r;

    r = path_make(path, err, "%s/" OWN_DIR "/%s", repo, what);
    if (r == 0)
        r = file_read(path, &content, NULL);
    if (r < 0)
        return error_errno(err, r, "cannot read the upstream's credential");
    sha256_update(md, sizeof content.len, (const uint8_t *)&content.len);
    sha256_update(md, content.len, (const uint8_t *)content.data);
    return 0;
}

/* A hash's context keeps the last bytes that it was given. */
static void wipe_hash(struct sha256_ctx *md)
{
    explicit_bzero(md, sizeof *md);
}

/* Whoever holds another key must not ride on a connection that the old key opened, nor on one to
 * another address. */
static int connection_name(const struct upstream *upstream, const char *address, const char *repo,
                           char to[DIGEST_HEX + 1], struct error *err)
{
    struct sha256_ctx md CLEANUP(wipe_hash);
    uint8_t digest[SHA256_DIGEST_SIZE];
    int r;

    sha256_init(&md);
    sha256_update(&md, strlen(upstream->url_text) + 1, (const uint8_t *)upstream->url_text);
    sha256_update(&md, address ? strlen(address) : 0, (const uint8_t *)(address ? address : ""));
    r = digest_file(&md, repo, "key", err);
    if (r == 0)
        r = digest_file(&md, repo, "known_hosts", err);
    if (r < 0)
        return r;
    sha256_digest(&md, sizeof digest, digest);
    for (size_t i = 0; i < DIGEST_HEX / 2; i++)
        snprintf(to + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

/* An extra host's address: this repository's ssh is called with no other host. The host key is
 * looked up by the name all the same, as known_hosts spells it. */
static void add_address(struct buf *to, const struct url *url, const char *address)
{
    buf_addf(to, "    HostName %s\n", address);
    if (url->port == url_default_port(URL_SSH))
        buf_addf(to, "    HostKeyAlias %s\n", url->host);
    else
        buf_addf(to, "    HostKeyAlias [%s]:%u\n", url->host, url->port);
}

/* Beside a host's name and address, which were checked, no word of the GitGate gets in here: names
 * are constants, relative to the repository. */
static void compose_config(struct buf *to, const struct url *url, const char *address,
                           const char *connection)
{
    buf_adds(to, "# Written by gitgate-gate.\nHost *\n");
    if (address)
        add_address(to, url, address);
    buf_addf(to,
             "    IdentityFile " OWN_DIR "/key\n"
             "    IdentitiesOnly yes\n"
             "    IdentityAgent none\n"
             "    PreferredAuthentications publickey\n"
             "    UserKnownHostsFile " OWN_DIR "/known_hosts\n"
             "    GlobalKnownHostsFile /dev/null\n"
             "    StrictHostKeyChecking yes\n"
             "    UpdateHostKeys no\n"
             "    CheckHostIP no\n"
             "    BatchMode yes\n"
             "    ClearAllForwardings yes\n"
             "    ForwardAgent no\n"
             "    ForwardX11 no\n"
             "    LogLevel ERROR\n" /* no banner: it would be read as an error of ssh's own */
             "    ConnectTimeout %d\n"
             "    ServerAliveInterval %d\n"
             "    ServerAliveCountMax %d\n"
             "    ControlMaster auto\n"
             "    ControlPath " OWN_DIR "/" SOCKET_PREFIX "%s\n"
             "    ControlPersist %d\n",
             CONNECT_TIMEOUT_S, ALIVE_INTERVAL_S, ALIVE_COUNT, connection, PERSIST_S);
}

static void end_connection(const char *repo, const char *name)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(0, CONFIG_MAX);
    char path[PATH_MAX];
    const char *const argv[] = {"ssh", "-F", "none", "-S", path, "-O", "exit", "gate", NULL};

    if (path_make(path, NULL, OWN_DIR "/%s", name) == 0)
        git_run(repo, NULL, argv, NULL, 0, EXIT_TIMEOUT_MS, &result, NULL);
    if (path_make(path, NULL, "%s/" OWN_DIR "/%s", repo, name) == 0)
        unlink(path);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static void end_other_connections(const char *repo, const char *connection)
{
    char path[PATH_MAX];
    DIR *dir CLEANUP(close_dir) = NULL;
    struct dirent *entry;

    if (path_make(path, NULL, "%s/" OWN_DIR, repo) == 0)
        dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        const char *rest = entry->d_name + strlen(SOCKET_PREFIX);

        if (strncmp(entry->d_name, SOCKET_PREFIX, strlen(SOCKET_PREFIX)) == 0 &&
            strspn(rest, "0123456789abcdef") == DIGEST_HEX && rest[DIGEST_HEX] == '\0' &&
            strcmp(rest, connection) != 0)
            end_connection(repo, entry->d_name);
    }
}

static int write_config(const char *repo, const struct url *url, const char *address,
                        const char *connection, struct error *err)
{
    cleanup_buf struct buf config = BUF_INIT(CONFIG_MAX), there = BUF_INIT(CONFIG_MAX);
    char path[PATH_MAX];

    if (path_make(path, err, "%s/" SSH_CONFIG_FILE, repo) < 0)
        return -ENAMETOOLONG;
    compose_config(&config, url, address, connection);
    if (file_read(path, &there, NULL) == 0 && strcmp(there.data, config.data) == 0)
        return 0;
    end_other_connections(repo, connection);
    if (file_write(path, config.data, config.len, 0600, NULL) < 0)
        return error_set(err, -EIO, "the gate can't write its own files");
    return 0;
}

static int prepare_ssh(const struct gate *gate, const struct upstream *upstream, const char *repo,
                       struct error *err)
{
    char connection[DIGEST_HEX + 1];
    const char *address = upstream_address(gate, upstream);
    size_t i = gate_upstream_index(gate, upstream);
    bool key, hosts;
    int r = link_cred(gate, upstream, repo, "key", &key, err);

    if (r == 0)
        r = link_cred(gate, upstream, repo, "known_hosts", &hosts, err);
    if (r < 0)
        return r;
    /* Without a Secret neither is there. */
    if (!key)
        return error_set(err, -ENOENT,
                         "the gate has no key for %s: see spec.upstreams[%zu].ssh.secretRef",
                         upstream->url.host, i);
    if (!hosts)
        return error_set(err, -ENOENT,
                         "the gate has no host key for %s: add its public host key to "
                         "spec.upstreams[%zu].ssh.knownHostKeys",
                         upstream->url.host, i);
    r = connection_name(upstream, address, repo, connection, err);
    return r < 0 ? r : write_config(repo, &upstream->url, address, connection, err);
}

static int prepare_http(const struct gate *gate, const struct upstream *upstream, const char *repo,
                        struct error *err)
{
    size_t i = gate_upstream_index(gate, upstream);
    bool credential, ca;
    int r = link_cred(gate, upstream, repo, "gitconfig", &credential, err);

    if (r == 0)
        r = link_cred(gate, upstream, repo, "ca.crt", &ca, err);
    if (r < 0)
        return r;
    if (upstream->auth == AUTH_HTTP && !credential)
        return error_set(err, -ENOENT,
                         "the gate has no credential for %s: see "
                         "spec.upstreams[%zu].http.secretRef",
                         upstream->url.host, i);
    if (upstream->ca_config_map && !ca)
        return error_set(
            err, -ENOENT,
            "the gate has no certificates for %s: see spec.upstreams[%zu].http.caBundle",
            upstream->url.host, i);
    return 0;
}

int upstream_prepare(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     struct error *err)
{
    return upstream->url.scheme == URL_SSH ? prepare_ssh(gate, upstream, repo, err)
                                           : prepare_http(gate, upstream, repo, err);
}

/* Whoever runs git by hand in the repository sees all in one, by core.sshCommand. */
#define SSH_COMMAND_ASIDE "exec " SSH_COMMAND " 2>&3 3>&-"

static void add_aside(struct proc_result *result)
{
    for (const char *line = result->aside.data, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n\r");
        if (end > line)
            buf_addf(&result->err, WORDS_OF_SSH "%.*s\n", (int)(end - line), line);
    }
}

int upstream_git(const char *repo, const char *const *argv, uint64_t timeout_ms,
                 uint64_t memory_max, struct proc_result *result, struct error *err)
{
    cleanup_child_env struct child_env env = CHILD_ENV_INIT;
    struct proc_spec spec = {.argv = argv,
                             .cwd = repo,
                             .timeout_ms = timeout_ms,
                             .memory_max = memory_max,
                             .aside = true};
    int r = child_env_repo(&env);

    if (r == 0)
        r = child_env_set(&env, "GIT_SSH_COMMAND", SSH_COMMAND_ASIDE);
    if (r < 0)
        return error_errno(err, r, "cannot run git");
    spec.env = (const char *const *)env.list;
    r = proc_run(&spec, result, err);
    add_aside(result);
    return r;
}

void upstream_end_connections(const char *repo)
{
    end_other_connections(repo, "");
}
