#include "scan/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void rules_done(struct rules *rules)
{
    hs_free_database(rules->db);
    hs_free_database(rules->paths);
    json_decref(rules->detail);
    free(rules->list);
    *rules = (struct rules){0};
}

/* Room for a database, all of it there at once: page by page, as it is written, takes longer than
 * to write it. Its length stands in front, in a cache line. */
#define ROOM_HEAD 64u

static void *make_room(size_t len)
{
    size_t whole = len + ROOM_HEAD;
    char *room = whole < len ? MAP_FAILED
                             : mmap(NULL, whole, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (room == MAP_FAILED)
        return NULL;
    memcpy(room, &whole, sizeof whole);
    return room + ROOM_HEAD;
}

static void free_room(void *at)
{
    char *room = at ? (char *)at - ROOM_HEAD : NULL;
    size_t whole;

    if (!room)
        return;
    memcpy(&whole, room, sizeof whole);
    munmap(room, whole);
}

static int load(const char *bytes, uint64_t len, hs_database_t **ret, struct error *err)
{
    hs_error_t r = hs_set_database_allocator(make_room, free_room);

    if (r == HS_SUCCESS && len)
        r = hs_deserialize_database(bytes, len, ret);
    if (r == HS_SUCCESS)
        return 0;
    if (r == HS_DB_VERSION_ERROR || r == HS_DB_PLATFORM_ERROR || r == HS_DB_MODE_ERROR ||
        r == HS_ARCH_ERROR)
        return error_set(err, -ENOTSUP, "the rules were compiled for another Vectorscan");
    return error_set(err, -EIO, "the compiled rules can't be loaded (Vectorscan's error %d)", r);
}

int rules_open(const void *block, size_t len, struct rules *ret, struct error *err)
{
    const char *body = (const char *)block + sizeof(struct rules_header);
    struct rules_header header;
    size_t room = len - sizeof header;
    int r;

    *ret = (struct rules){0};
    if (len < sizeof header || len > RULES_BYTES_MAX)
        return error_set(err, -EIO, "the compiled rules are cut off");
    memcpy(&header, block, sizeof header);
    if (memcmp(header.magic, RULES_MAGIC, sizeof header.magic) != 0 || header.db_len > room ||
        header.paths_len > room - header.db_len ||
        header.meta_len != room - header.db_len - header.paths_len)
        return error_set(err, -EIO, "the compiled rules are of another form");
    ret->everything = header.everything != 0;
    ret->marker = header.marker;
    memcpy(ret->key, header.key, sizeof ret->key);
    ret->meta = body + header.db_len + header.paths_len;
    ret->meta_len = header.meta_len;
    r = load(body, header.db_len, &ret->db, err);
    if (r == 0)
        r = load(body + header.db_len, header.paths_len, &ret->paths, err);
    if (r < 0) {
        hs_free_database(ret->db);
        ret->db = NULL;
    }
    return r;
}

/* ---- details ---- */

static bool take_reach(const json_t *from, struct reach *to)
{
    const char *runs = json_string_value(json_object_get(from, "runs"));
    unsigned long long word[4];

    if (!runs ||
        sscanf(runs, "%16llx%16llx%16llx%16llx", &word[0], &word[1], &word[2], &word[3]) != 4)
        return false;
    for (int i = 0; i < 4; i++)
        to->runs.word[i] = word[i];
    to->bytes = (unsigned)json_integer_value(json_object_get(from, "bytes"));
    to->lines = (unsigned)json_integer_value(json_object_get(from, "lines"));
    return true;
}

static bool take_rule(const json_t *from, struct rule *to)
{
    to->id = json_string_value(json_object_get(from, "id"));
    to->keywords = json_object_get(from, "keywords");
    to->whole = json_is_true(json_object_get(from, "whole"));
    return to->id && json_is_array(to->keywords) && take_reach(from, &to->reach);
}

int rules_detail(struct rules *rules, struct error *err)
{
    const json_t *list, *entry;
    size_t i;

    if (rules->detail)
        return 0;
    rules->detail = json_loadb(rules->meta, rules->meta_len, 0, NULL);
    list = json_object_get(rules->detail, "rules");
    rules->n = json_array_size(list);
    rules->list = calloc(rules->n + 1, sizeof *rules->list);
    if (!json_is_array(list) || !rules->list)
        return error_set(err, -EIO, "the compiled rules can't be read");
    json_array_foreach(list, i, entry) {
        if (!take_rule(entry, &rules->list[i]))
            return error_set(err, -EIO, "the compiled rules can't be read");
    }
    return 0;
}

static const char *detail_text(const struct rules *rules, const char *key)
{
    const char *text = json_string_value(json_object_get(rules->detail, key));

    return text ? text : "";
}

const char *rules_judge(const struct rules *rules)
{
    return detail_text(rules, "judge");
}

const char *rules_allowlists(const struct rules *rules)
{
    return detail_text(rules, "allowlists");
}

const json_t *rules_source(const struct rules *rules)
{
    return json_object_get(rules->detail, "source");
}
