#include "render/render.h"

void render_known_hosts(const struct url *url, const char *const *keys, struct buf *to)
{
    for (; *keys; keys++) {
        if (url->port == url_default_port(URL_SSH))
            buf_addf(to, "%s %s\n", url->host, *keys);
        else
            buf_addf(to, "[%s]:%u %s\n", url->host, url->port, *keys);
    }
}
