/*
 * http_clients.c: see http_clients.h. Its invariant: only a client without exchanges is freed, and
 * only when another is taken, which no callback of a client does.
 */
#include "http_clients.h"

#include <stdlib.h>
#include <string.h>

#include "weir/version.h"

#define TEXT(number) #number
#define AGENT(major, minor, patch) "weir/" TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char wi_http_user_agent[] = AGENT(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);

typedef struct clients {
    wi_list list;
    size_t len;
} clients;

static const char clients_key;

static void client_free(wi_http_client *client)
{
    wi_list_remove(&client->node);
    wi_http_free(client->http);
    wi_http_headers_free(client->headers);
    free((char *)client->route.proxy);
    free((char *)client->route.cacert);
    free(client);
}

static void clients_free(void *value)
{
    clients *all = value;
    wi_list *node;
    while ((node = wi_list_shift(&all->list)))
        client_free(wi_container_of(node, wi_http_client, node));
    free(all);
}

static clients *clients_of(wi_loop *loop)
{
    clients *all = wi_loop_get(loop, &clients_key);
    if (all)
        return all;
    all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    wi_list_init(&all->list);
    if (!wi_loop_attach(loop, &clients_key, all, clients_free)) {
        free(all);
        return NULL;
    }
    return all;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_route(const wi_http_route *a, const wi_http_route *b)
{
    return a->connect_timeout == b->connect_timeout && a->follow == b->follow &&
           a->insecure == b->insecure && same_text(a->proxy, b->proxy) &&
           same_text(a->cacert, b->cacert);
}

/* Makes room for one more, if there are many: those go that were not used for the longest time. */
static void trim(clients *all)
{
    wi_list *previous;
    for (wi_list *node = all->list.prev; node != &all->list && all->len >= WI_HTTP_CLIENTS_MAX;
         node = previous) {
        previous = node->prev;
        wi_http_client *client = wi_container_of(node, wi_http_client, node);
        if (client->exchanges)
            continue;
        client_free(client);
        all->len--;
    }
}

static bool copy_route(wi_http_route *to, const wi_http_route *from)
{
    *to = *from;
    to->proxy = from->proxy ? strdup(from->proxy) : NULL;
    to->cacert = from->cacert ? strdup(from->cacert) : NULL;
    return (to->proxy || !from->proxy) && (to->cacert || !from->cacert);
}

static weir_status client_new(wi_loop *loop, const wi_http_route *route,
                              const wi_http_events *events, wi_http_client **out, weir_error *err)
{
    wi_http_client *client = calloc(1, sizeof *client);
    if (!client)
        return wi_fail_nomem(err);
    wi_list_init(&client->node);
    wi_http_options options = {
        .connect_timeout = route->connect_timeout,
        .proxy = route->proxy,
        .cacert = route->cacert,
        .max_redirects = route->follow,
        .follow = route->follow > 0,
        .insecure = route->insecure,
    };
    weir_status status = wi_http_new(loop, &options, events, &client->http, err);
    if (status == WEIR_OK && (!(client->headers = wi_http_headers_new(wi_http_user_agent, true)) ||
                              !copy_route(&client->route, route)))
        status = wi_fail_nomem(err);
    if (status != WEIR_OK) {
        client_free(client);
        return status;
    }
    *out = client;
    return WEIR_OK;
}

weir_status wi_http_client_take(wi_loop *loop, const wi_http_route *route,
                                const wi_http_events *events, wi_http_client **out, weir_error *err)
{
    clients *all = clients_of(loop);
    if (!all)
        return wi_fail_nomem(err);
    wi_http_client *client = NULL;
    for (wi_list *node = all->list.next; node != &all->list && !client; node = node->next) {
        wi_http_client *one = wi_container_of(node, wi_http_client, node);
        if (same_route(&one->route, route))
            client = one;
    }
    if (!client) {
        trim(all);
        weir_status status = client_new(loop, route, events, &client, err);
        if (status != WEIR_OK)
            return status;
        all->len++;
    }
    wi_list_remove(&client->node);
    wi_list_prepend(&all->list, &client->node);
    client->exchanges++;
    *out = client;
    return WEIR_OK;
}

void wi_http_client_give(wi_http_client *client)
{
    client->exchanges--;
}
