#include "edge/http/scheme.h"
#include "edge/http/h2o.h"
#include "edge/http/internal.h"

static bool comes_from_proxy(const h2o_req_t *req)
{
    struct sockaddr_storage sa;
    return req->conn->callbacks->get_peername(req->conn, (struct sockaddr *)&sa) != 0 &&
           http_is_trusted_proxy((struct sockaddr *)&sa);
}

// Proxies that do not overwrite it append to it: the first value is the visitor's.
static bool says_https(str value)
{
    return str_caseeq(str_trim(str_cut(&value, ',')), STR("https"));
}

bool request_came_by_https(const struct request *r)
{
    const h2o_req_t *req = h2o_of(r);
    if (r->is_tls || !comes_from_proxy(req))
        return r->is_tls;
    enum forwarded_proto said = http_proto_of(req);
    if (said != FORWARDED_UNSAID)
        return said == FORWARDED_HTTPS;
    for (size_t i = 0; i != req->headers.size; ++i) {
        const h2o_header_t *f = &req->headers.entries[i];
        if (str_eq(str_of(f->name->base, f->name->len), STR("x-forwarded-proto")))
            return says_https(str_of(f->value.base, f->value.len));
    }
    return false;
}
