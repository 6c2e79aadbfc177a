#include "data/json_write.h"

#include <errno.h>
#include <string.h>

#include "data/json_text.h"

/* A comma, unless what is there is an object or array that was just begun. */
static void separate(struct buf *to)
{
    char last = to->len ? to->data[to->len - 1] : '\0';

    if (last && last != '{' && last != '[' && last != ':')
        buf_addc(to, ',');
}

void json_write_key(struct buf *to, const char *key, size_t len)
{
    separate(to);
    json_text_write(to, key, len);
    buf_addc(to, ':');
}

/* ---- jansson's ----------------------------------------------------------------------------- */

static void write_real(struct buf *to, const json_t *value)
{
    cleanup_free char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    buf_adds(to, text ? text : "null");
}

static void write_object(struct buf *to, json_t *object)
{
    const char *key;
    json_t *member;

    buf_addc(to, '{');
    json_object_foreach(object, key, member) {
        json_write_key(to, key, strlen(key));
        json_write(to, member);
    }
    buf_addc(to, '}');
}

static void write_array(struct buf *to, json_t *array)
{
    size_t i;
    json_t *element;

    buf_addc(to, '[');
    json_array_foreach(array, i, element) {
        separate(to);
        json_write(to, element);
    }
    buf_addc(to, ']');
}

void json_write(struct buf *to, const json_t *value)
{
    if (!value) {
        to->err = to->err ? to->err : -ENOMEM;
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(to, (json_t *)value);
        break;
    case JSON_ARRAY:
        write_array(to, (json_t *)value);
        break;
    case JSON_STRING:
        json_text_write(to, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_addf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(to, value);
        break;
    case JSON_TRUE:
        buf_adds(to, "true");
        break;
    case JSON_FALSE:
        buf_adds(to, "false");
        break;
    case JSON_NULL:
        buf_adds(to, "null");
        break;
    }
}

/* ---- A document's -------------------------------------------------------------------------- */

static void write_nodes(struct buf *to, const struct node *parent, char begin, char end)
{
    const struct node *node;

    buf_addc(to, begin);
    node_each(parent, node)
    {
        if (node->key)
            json_write_key(to, node->key, node->key_len);
        else
            separate(to);
        node_write(to, node);
    }
    buf_addc(to, end);
}

void node_write(struct buf *to, const struct node *node)
{
    if (!node) {
        to->err = to->err ? to->err : -ENOMEM;
        return;
    }
    switch (node->type) {
    case NODE_OBJECT:
        write_nodes(to, node, '{', '}');
        break;
    case NODE_ARRAY:
        write_nodes(to, node, '[', ']');
        break;
    case NODE_STRING:
        json_text_write(to, node->text, node->len);
        break;
    case NODE_NUMBER: /* as it was written */
        buf_add(to, node->text, node->len);
        break;
    case NODE_TRUE:
        buf_adds(to, "true");
        break;
    case NODE_FALSE:
        buf_adds(to, "false");
        break;
    case NODE_NULL:
        buf_adds(to, "null");
        break;
    }
}
