/* The gate's Secret: from each upstream's own Secret the files that ssh and git read. What is
 * missing or unusable is told by field, never by value. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/base64.h"
#include "data/gitleaks.h"
#include "render/object.h"
#include "render/render.h"
#include "render/ssh_key.h"

#define VALUE_MAX (64u << 10) /* a private key has 3 kB, a known_hosts of a large site some 10 */
#define CA_MAX (512u << 10)   /* the bundle of all public authorities has 220 kB */
#define KEY_PATH_MAX 512
#define SCAN_FIELD "spec.scan.configMapRef"
#define TOKEN_USER "x-access-token" /* GitHub's; the others take any user beside a token */

#define TYPE_SSH "kubernetes.io/ssh-auth"
#define TYPE_BASIC "kubernetes.io/basic-auth"

struct creds {
    const struct gitgate *gate;
    const struct render_sources *sources;
    struct problems *problems;
    json_t *data; /* of the Secret that is made */
    size_t i;     /* the upstream at hand */
    const struct upstream *upstream;
    bool out_of_memory;
};

__attribute__((format(printf, 3, 4))) static void complain(struct creds *c, const char *field,
                                                           const char *fmt, ...)
{
    char path[KEY_PATH_MAX], message[ERROR_MSG_MAX];
    va_list ap;

    snprintf(path, sizeof path, "spec.upstreams[%zu].%s", c->i, field);
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    problems_add(c->problems, path, "%s", message);
}

/* ---- a source that can't be read ---- */

#define ALL_STAYS "nothing in the gate's credentials changes until it can"

/* The file that was made of it before stays. Whether there is one. */
static bool keep_file(struct creds *c, const char *suffix)
{
    char name[KEY_PATH_MAX];
    json_t *value;

    snprintf(name, sizeof name, "%s-%s", c->upstream->name, suffix);
    value = json_object_get(c->sources->made, name);
    if (json_is_string(value) && json_object_set(c->data, name, value) < 0)
        c->out_of_memory = true;
    return json_is_string(value);
}

static const char *what_stays(const struct creds *c, bool kept)
{
    if (json_is_null(c->sources->made))
        return ALL_STAYS;
    return kept ? "the gate goes on with what was made of it before"
                : "the gate refuses to fetch and push until it can";
}

static void complain_unreadable(struct creds *c, const char *field, const char *what,
                                const json_t *why, bool kept)
{
    complain(c, field, "%s can't be read: %s; %s", what, json_string_value(why),
             what_stays(c, kept));
}

/* ---- reading the source Secret ---- */

/* Where the reference to the Secret stands, for messages. */
static const char *secret_field(const struct creds *c)
{
    return c->upstream->auth == AUTH_SSH ? "ssh.secretRef.name" : "http.secretRef.name";
}

static void keep_credential(struct creds *c, const json_t *why)
{
    bool kept = keep_file(c, c->upstream->auth == AUTH_SSH ? "key" : "gitconfig");
    char what[KEY_PATH_MAX];

    if (c->upstream->auth == AUTH_SSH)
        keep_file(c, "known_hosts");
    snprintf(what, sizeof what, "Secret \"%s\"", c->upstream->secret);
    complain_unreadable(c, secret_field(c), what, why, kept);
}

static json_t *source_secret(struct creds *c)
{
    json_t *secret = json_object_get(c->sources->secrets, c->upstream->secret);

    if (json_is_string(secret))
        keep_credential(c, secret);
    else if (!json_is_object(secret))
        complain(c, secret_field(c), "Secret \"%s\" does not exist", c->upstream->secret);
    return json_is_object(secret) ? secret : NULL;
}

static bool has_type(const json_t *secret, const char *type)
{
    const char *text = json_string_value(json_object_get(secret, "type"));

    return text && strcmp(text, type) == 0;
}

static bool has_key(const json_t *secret, const char *key)
{
    return json_is_string(json_object_get(json_object_get(secret, "data"), key));
}

/* Decodes the Secret's key into `to`, which the caller wipes. 0, or negative and told. */
static int read_key(struct creds *c, const json_t *secret, const char *key, struct buf *to)
{
    json_t *value = json_object_get(json_object_get(secret, "data"), key);
    int r;

    if (!json_is_string(value)) {
        complain(c, secret_field(c), "Secret \"%s\" has no key %s", c->upstream->secret, key);
        return -ENOENT;
    }
    r = base64_decode(json_string_value(value), json_string_length(value), to);
    if (r == -ENOMEM)
        c->out_of_memory = true;
    else if (r == -E2BIG)
        complain(c, secret_field(c), "the key %s of Secret \"%s\" is larger than %zu bytes", key,
                 c->upstream->secret, to->max);
    else if (r < 0 || to->len == 0 || memchr(to->data, '\0', to->len))
        complain(c, secret_field(c), "the key %s of Secret \"%s\" is empty or not text", key,
                 c->upstream->secret);
    if (r == 0 && (to->len == 0 || memchr(to->data, '\0', to->len)))
        r = -EINVAL;
    return r;
}

/* ---- writing ours ---- */

static void put_file(struct creds *c, const char *name, const char *data, size_t len)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(2 * CA_MAX);

    base64_encode(data, len, &text);
    if (buf_error(&text) || json_object_set_new(c->data, name, json_string(text.data)) < 0)
        c->out_of_memory = true;
}

static void add_file(struct creds *c, const char *suffix, const struct buf *content)
{
    char name[KEY_PATH_MAX];

    snprintf(name, sizeof name, "%s-%s", c->upstream->name, suffix);
    if (buf_error(content))
        c->out_of_memory = true;
    else
        put_file(c, name, content->data, content->len);
}

/* ssh refuses a key whose last line has no end. */
static void end_line(struct buf *text)
{
    if (text->len > 0 && text->data[text->len - 1] != '\n')
        buf_addc(text, '\n');
}

/* ---- ssh ---- */

static void add_known_hosts(struct creds *c, const json_t *secret)
{
    cleanup_buf struct buf text = BUF_INIT(VALUE_MAX + 1);

    if (c->upstream->known_host_keys[0]) {
        render_known_hosts(&c->upstream->url, c->upstream->known_host_keys, &text);
    } else if (has_key(secret, "known_hosts")) {
        if (read_key(c, secret, "known_hosts", &text) < 0)
            return;
        end_line(&text);
    } else {
        complain(c, "ssh.knownHostKeys",
                 "is empty and Secret \"%s\" has no key known_hosts: the gate refuses to fetch and "
                 "push until one of them holds the host's public key",
                 c->upstream->secret);
        return;
    }
    add_file(c, "known_hosts", &text);
}

/* One that OpenSSH can't read is told here, not by a gate that fails. */
static int check_key(struct creds *c, const struct buf *key)
{
    struct error err = ERROR_INIT;
    int r = ssh_key_check(key->data, key->len, &err);

    if (r == -ENOMEM)
        c->out_of_memory = true;
    else if (r < 0)
        complain(c, secret_field(c), "the key ssh-privatekey of Secret \"%s\" %s",
                 c->upstream->secret, err.msg);
    return r;
}

static void add_ssh(struct creds *c)
{
    struct buf key CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX + 1);
    json_t *secret = source_secret(c);

    if (!secret)
        return;
    if (!has_type(secret, TYPE_SSH)) {
        complain(
            c, secret_field(c),
            "Secret \"%s\" must be of type " TYPE_SSH
            ": a type can't be changed, so delete it and create it again with --type=" TYPE_SSH,
            c->upstream->secret);
        return;
    }
    if (read_key(c, secret, "ssh-privatekey", &key) < 0)
        return;
    end_line(&key);
    if (buf_error(&key) || check_key(c, &key) < 0)
        return;
    add_file(c, "key", &key);
    add_known_hosts(c, secret);
}

/* ---- https ---- */

/* Bytes that would end the header, or the user's part of it. */
static bool is_header_text(struct creds *c, const char *key, const struct buf *value,
                           const char *beside)
{
    for (size_t i = 0; i < value->len; i++) {
        unsigned char b = (unsigned char)value->data[i];

        if (b >= 0x20 && b != 0x7f && !strchr(beside, b))
            continue;
        complain(c, secret_field(c),
                 "the key %s of Secret \"%s\" holds a line end or another character that can't "
                 "stand there (made by `echo`? use `printf %%s`)",
                 key, c->upstream->secret);
        return false;
    }
    return true;
}

static int read_user(struct creds *c, const json_t *secret, const char *fallback, struct buf *user)
{
    if (has_key(secret, "username")) {
        int r = read_key(c, secret, "username", user);

        if (r < 0)
            return r;
    } else {
        buf_adds(user, fallback);
    }
    return is_header_text(c, "username", user, ":") ? 0 : -EINVAL;
}

/* `credential` becomes "user:password". */
static int read_credential(struct creds *c, const json_t *secret, struct buf *credential)
{
    struct buf password CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX);
    const char *key = has_key(secret, "token") ? "token" : "password";
    int r;

    if (!has_key(secret, "token") && !has_type(secret, TYPE_BASIC)) {
        complain(c, secret_field(c),
                 "Secret \"%s\" must be of type " TYPE_BASIC " (username, password) or have the "
                 "key token",
                 c->upstream->secret);
        return -EINVAL;
    }
    r = read_user(c, secret, TOKEN_USER, credential);
    if (r == 0)
        r = read_key(c, secret, key, &password);
    if (r < 0)
        return r;
    if (!is_header_text(c, key, &password, ""))
        return -EINVAL;
    buf_addc(credential, ':');
    buf_add(credential, password.data, password.len);
    return buf_error(credential);
}

/* A URL's authority has no character that git's configuration would have to escape, and neither
 * has base64: nothing here needs quoting. The section's URL ends in a slash: this host and port,
 * and no other. */
static void add_http(struct creds *c)
{
    struct buf credential CLEANUP(buf_wipe) = BUF_INIT(2 * VALUE_MAX + 1);
    struct buf header CLEANUP(buf_wipe) = BUF_INIT(4 * VALUE_MAX);
    const struct url *url = &c->upstream->url;
    json_t *secret = source_secret(c);

    if (!secret || read_credential(c, secret, &credential) < 0)
        return;
    buf_addf(&header,
             strchr(url->host, ':') ? "[http \"https://[%s]:%u/\"]\n"
                                    : "[http \"https://%s:%u/\"]\n",
             url->host, url->port);
    buf_adds(&header, "    extraHeader = Authorization: Basic ");
    base64_encode(credential.data, credential.len, &header);
    buf_addc(&header, '\n');
    add_file(c, "gitconfig", &header);
}

static void keep_ca(struct creds *c, const json_t *why)
{
    char what[KEY_PATH_MAX];

    snprintf(what, sizeof what, "ConfigMap \"%s\"", c->upstream->ca_config_map);
    complain_unreadable(c, "http.caBundle.configMapRef.name", what, why, keep_file(c, "ca.crt"));
}

static void add_ca(struct creds *c)
{
    const struct upstream *u = c->upstream;
    json_t *map = json_object_get(c->sources->config_maps, u->ca_config_map);
    json_t *text = json_object_get(json_object_get(map, "data"), u->ca_key);
    cleanup_buf struct buf ca = BUF_INIT(CA_MAX);

    if (json_is_string(map)) {
        keep_ca(c, map);
    } else if (!json_is_object(map)) {
        complain(c, "http.caBundle.configMapRef.name", "ConfigMap \"%s\" does not exist",
                 u->ca_config_map);
    } else if (!json_is_string(text)) {
        complain(c, "http.caBundle.configMapRef.key", "ConfigMap \"%s\" has no key %s",
                 u->ca_config_map, u->ca_key);
    } else if (json_string_length(text) >= CA_MAX ||
               !strstr(json_string_value(text), "-----BEGIN CERTIFICATE-----")) {
        complain(c, "http.caBundle.configMapRef.key",
                 "%s of ConfigMap \"%s\" holds no PEM certificate, or more than %u bytes",
                 u->ca_key, u->ca_config_map, CA_MAX);
    } else {
        buf_add(&ca, json_string_value(text), json_string_length(text));
        end_line(&ca);
        add_file(c, "ca.crt", &ca);
    }
}

/* What gitgate reads of it is read here already, so that it is told where people look. Of one that
 * can't be read nothing stays: a gate scans by the rules that were asked for, or lets no push
 * through. */
static void add_scan_config(struct creds *c)
{
    const struct scan_policy *scan = &c->gate->scan;
    json_t *map = json_object_get(c->sources->config_maps, scan->config_map);
    json_t *text = json_object_get(json_object_get(map, "data"), scan->config_key);
    json_auto_t *config = NULL;
    struct error err = ERROR_INIT;

    if (json_is_string(map))
        problems_add(c->problems, SCAN_FIELD ".name", "ConfigMap \"%s\" can't be read: %s; %s",
                     scan->config_map, json_string_value(map),
                     json_is_null(c->sources->made) ? ALL_STAYS
                                                    : "the gate refuses every push until it can");
    else if (!json_is_object(map))
        problems_add(c->problems, SCAN_FIELD ".name", "ConfigMap \"%s\" does not exist",
                     scan->config_map);
    else if (!json_is_string(text))
        problems_add(c->problems, SCAN_FIELD ".key", "ConfigMap \"%s\" has no key %s",
                     scan->config_map, scan->config_key);
    else if (gitleaks_config_read(json_string_value(text), json_string_length(text), &config,
                                  &err) < 0)
        problems_add(c->problems, SCAN_FIELD, "ConfigMap \"%s\": %s", scan->config_map, err.msg);
    else
        put_file(c, GITGATE_SCAN_CONFIG, json_string_value(text), json_string_length(text));
    gitleaks_config_look(config, SCAN_FIELD, c->problems);
}

/* Steals `data`. */
static json_t *secret_of(const struct gitgate *gate, json_t *data)
{
    return object_with(
        object_with(object_new(gate, "v1", "Secret", NAME_CREDS), "type", json_string("Opaque")),
        "data", data);
}

json_t *render_creds(const struct gitgate *gate, const struct render_sources *sources,
                     struct problems *problems)
{
    struct creds c = {
        .gate = gate, .sources = sources, .problems = problems, .data = json_object()};

    for (c.i = 0; c.data && c.i < gate->n_upstreams; c.i++) {
        c.upstream = &gate->upstreams[c.i];
        if (c.upstream->auth == AUTH_SSH)
            add_ssh(&c);
        if (c.upstream->auth == AUTH_HTTP)
            add_http(&c);
        if (c.upstream->ca_config_map)
            add_ca(&c);
    }
    if (gate->scan.config_map)
        add_scan_config(&c);
    if (c.out_of_memory) {
        json_decref(c.data);
        return NULL;
    }
    return secret_of(gate, c.data);
}

json_t *render_no_creds(const struct gitgate *gate)
{
    return secret_of(gate, json_object());
}
