#include "kube/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/base64.h"
#include "data/yaml.h"

#define KUBECONFIG_MAX (4u << 20) /* a hundred clusters with inline certificates */
#define PATH_MAX_BYTES 4096

void kube_config_done(struct kube_config *config)
{
    free(config->server);
    free(config->namespace_);
    free(config->token_file);
    buf_done(&config->ca);
    buf_done(&config->cert);
    buf_wipe(&config->key);
    buf_wipe(&config->token);
    *config = KUBE_CONFIG_INIT;
}

static void trim_end(struct buf *text)
{
    while (text->len && strchr(" \t\r\n", text->data[text->len - 1]))
        text->data[--text->len] = '\0';
}

static int set_string(char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
    return *to ? 0 : -ENOMEM;
}

/* Moves the finished config to the caller: nothing half-filled is ever returned. */
static void give(struct kube_config *from, struct kube_config *ret)
{
    *ret = *from;
    *from = KUBE_CONFIG_INIT;
}

/* ---- In a pod ---------------------------------------------------------------------------- */

/* IPv6 service addresses come without brackets. */
static int in_cluster_server(char **ret, struct error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool v6 = host && strchr(host, ':');

    if (!host || !*host || !port || !*port)
        return error_set(err, -ENOENT,
                         "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this "
                         "is not a pod; give --kubeconfig");
    if (asprintf(ret, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0) {
        *ret = NULL;
        return error_set(err, -ENOMEM, "memory is short");
    }
    return 0;
}

int kube_config_in_cluster(const char *dir, struct kube_config *ret, struct error *err)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    cleanup_buf struct buf namespace_ = BUF_INIT(256);
    char path[PATH_MAX_BYTES];
    int r;

    r = in_cluster_server(&config.server, err);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%s/ca.crt", dir);
    r = file_read(path, &config.ca, err);
    if (r < 0)
        return r;
    snprintf(path, sizeof path, "%s/token", dir);
    r = file_read(path, &config.token, err);
    if (r < 0)
        return r;
    trim_end(&config.token);
    snprintf(path, sizeof path, "%s/namespace", dir);
    if (file_read(path, &namespace_, NULL) == 0)
        trim_end(&namespace_);
    snprintf(path, sizeof path, "%s/token", dir);
    if (set_string(&config.token_file, path) < 0 ||
        set_string(&config.namespace_, namespace_.len ? namespace_.data : "default") < 0)
        return error_set(err, -ENOMEM, "memory is short");
    give(&config, ret);
    return 0;
}

/* ---- kubeconfig -------------------------------------------------------------------------- */

/* One entry's body, with what messages need to name it. */
struct section {
    const char *file; /* the kubeconfig's path */
    const char *list; /* "clusters" */
    const char *name;
    json_t *body;
};

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text && *text ? text : NULL;
}

/* `root.<list>[name == name].<kind>` */
static int find_section(const json_t *root, const char *file, const char *list, const char *kind,
                        const char *name, struct section *ret, struct error *err)
{
    size_t i;
    json_t *entry;

    json_array_foreach(json_object_get(root, list), i, entry) {
        const char *text = string_of(entry, "name");

        if (!text || strcmp(text, name) != 0)
            continue;
        *ret = (struct section){file, list, text, json_object_get(entry, kind)};
        if (!json_is_object(ret->body))
            return error_set(err, -EINVAL, "%s: %s \"%s\" has no %s", file, list, name, kind);
        return 0;
    }
    return error_set(err, -EINVAL, "%s: there is no \"%s\" among its %s", file, name, list);
}

/* Paths are relative to the kubeconfig. The caller frees. */
static char *resolve_path(const char *kubeconfig, const char *path)
{
    const char *slash = strrchr(kubeconfig, '/');
    char *whole = NULL;

    if (*path == '/' || !slash)
        return strdup(path);
    if (asprintf(&whole, "%.*s/%s", (int)(slash - kubeconfig), kubeconfig, path) < 0)
        return NULL;
    return whole;
}

/* `<field>-data` (base64) wins over `<field>` (a file), as in kubectl. */
static int read_pem(const struct section *section, const char *field, struct buf *to,
                    struct error *err)
{
    char data_field[64];
    const char *data, *path = string_of(section->body, field);
    cleanup_free char *whole = NULL;
    int r;

    snprintf(data_field, sizeof data_field, "%s-data", field);
    data = string_of(section->body, data_field);
    if (data) {
        r = base64_decode(data, strlen(data), to);
        if (r < 0)
            return error_set(err, r, "%s: %s \"%s\": %s is not base64", section->file,
                             section->list, section->name, data_field);
        return 0;
    }
    if (!path)
        return 0;
    whole = resolve_path(section->file, path);
    if (!whole)
        return error_set(err, -ENOMEM, "memory is short");
    r = file_read(whole, to, err);
    return r < 0 ? error_wrap(err, r, "%s: %s \"%s\": %s", section->file, section->list,
                              section->name, field)
                 : 0;
}

static int refuse(const struct section *section, const char *field, const char *advice,
                  struct error *err)
{
    if (!json_object_get(section->body, field) ||
        json_is_null(json_object_get(section->body, field)))
        return 0;
    return error_set(err, -ENOTSUP, "%s: %s \"%s\": %s is not supported; %s", section->file,
                     section->list, section->name, field, advice);
}

static int read_cluster(const struct section *cluster, struct kube_config *config,
                        struct error *err)
{
    const char *server = string_of(cluster->body, "server");
    size_t len;
    int r;

    r = refuse(cluster, "proxy-url", "name the API server itself", err);
    if (r == 0)
        r = refuse(cluster, "tls-server-name", "use a name that its certificate has", err);
    if (r < 0)
        return r;
    if (!server || (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0))
        return error_set(err, -EINVAL, "%s: clusters \"%s\": server must be an https:// address",
                         cluster->file, cluster->name);
    if (set_string(&config->server, server) < 0)
        return error_set(err, -ENOMEM, "memory is short");
    for (len = strlen(config->server); len && config->server[len - 1] == '/'; len--)
        config->server[len - 1] = '\0';
    config->insecure = json_is_true(json_object_get(cluster->body, "insecure-skip-tls-verify"));
    return read_pem(cluster, "certificate-authority", &config->ca, err);
}

static int read_token(const struct section *user, struct kube_config *config, struct error *err)
{
    const char *token = string_of(user->body, "token"), *path = string_of(user->body, "tokenFile");
    int r = 0;

    if (token) {
        buf_adds(&config->token, token);
    } else if (path) {
        config->token_file = resolve_path(user->file, path);
        r = config->token_file ? file_read(config->token_file, &config->token, err)
                               : error_set(err, -ENOMEM, "memory is short");
    }
    if (r < 0)
        return r;
    trim_end(&config->token);
    return buf_error(&config->token)
               ? error_set(err, buf_error(&config->token),
                           "%s: users \"%s\": the token is too long", user->file, user->name)
               : 0;
}

static int read_user(const struct section *user, struct kube_config *config, struct error *err)
{
    static const struct {
        const char *field, *advice;
    } refused[] = {
        {"exec", "it would run a program: use a token or a client certificate (`kubectl create "
                 "token` makes one)"},
        {"auth-provider", "use a token or a client certificate"},
        {"username", "use a token or a client certificate"},
        {"password", "use a token or a client certificate"},
        {"as", "use the account itself"},
    };
    int r;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        r = refuse(user, refused[i].field, refused[i].advice, err);
        if (r < 0)
            return r;
    }
    r = read_pem(user, "client-certificate", &config->cert, err);
    if (r < 0)
        return r;
    r = read_pem(user, "client-key", &config->key, err);
    if (r < 0)
        return r;
    if (!config->cert.len != !config->key.len)
        return error_set(err, -EINVAL,
                         "%s: users \"%s\": client-certificate and client-key go together",
                         user->file, user->name);
    return read_token(user, config, err);
}

static int read_context(const json_t *root, const char *path, struct kube_config *config,
                        struct error *err)
{
    const char *current = string_of(root, "current-context");
    struct section context, cluster, user;
    const char *name, *ns;
    int r;

    if (!current)
        return error_set(err, -EINVAL, "%s: current-context is not set", path);
    r = find_section(root, path, "contexts", "context", current, &context, err);
    if (r < 0)
        return r;
    ns = string_of(context.body, "namespace");
    if (set_string(&config->namespace_, ns ? ns : "default") < 0)
        return error_set(err, -ENOMEM, "memory is short");
    name = string_of(context.body, "cluster");
    r = find_section(root, path, "clusters", "cluster", name ? name : "", &cluster, err);
    if (r == 0)
        r = read_cluster(&cluster, config, err);
    if (r < 0)
        return r;
    name = string_of(context.body, "user");
    if (!name)
        return 0; /* anonymous */
    r = find_section(root, path, "users", "user", name, &user, err);
    return r < 0 ? r : read_user(&user, config, err);
}

/* Keys and tokens stand in the parsed document too. */
static void wipe_strings(json_t *value)
{
    const char *key;
    size_t i;
    json_t *item;

    if (json_is_string(value))
        explicit_bzero((char *)json_string_value(value), json_string_length(value));
    json_object_foreach(value, key, item)
        wipe_strings(item);
    json_array_foreach(value, i, item)
        wipe_strings(item);
}

int kube_config_file(const char *path, struct kube_config *ret, struct error *err)
{
    cleanup_kube_config struct kube_config config = KUBE_CONFIG_INIT;
    cleanup_yaml struct yaml_file file = YAML_FILE_INIT;
    struct buf text = BUF_INIT(KUBECONFIG_MAX);
    int r;

    r = file_read(path, &text, err);
    if (r == 0)
        r = yaml_parse(text.data, text.len, path, &file, err);
    buf_wipe(&text);
    if (r < 0)
        return r;
    if (file.n != 1)
        r = error_set(err, -EINVAL, "%s: holds %zu documents, a kubeconfig is one", path, file.n);
    else
        r = read_context(file.documents[0].root, path, &config, err);
    for (size_t i = 0; i < file.n; i++)
        wipe_strings(file.documents[i].root);
    if (r < 0)
        return r;
    give(&config, ret);
    return 0;
}

int kube_config_load(const char *path, struct kube_config *ret, struct error *err)
{
    const char *from_env = getenv("KUBECONFIG"), *home = getenv("HOME");
    char in_home[PATH_MAX_BYTES];

    if (path && *path)
        return kube_config_file(path, ret, err);
    if (getenv("KUBERNETES_SERVICE_HOST"))
        return kube_config_in_cluster(KUBE_SERVICE_ACCOUNT_DIR, ret, err);
    if (from_env && *from_env)
        return kube_config_file(from_env, ret, err);
    if (!home)
        return error_set(err, -ENOENT, "no API server is named: give --kubeconfig");
    snprintf(in_home, sizeof in_home, "%s/.kube/config", home);
    return kube_config_file(in_home, ret, err);
}
