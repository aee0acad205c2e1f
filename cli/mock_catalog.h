/* mock_catalog.h: /products: one product, pages of them, and what is sent to them. */
#ifndef CLI_MOCK_CATALOG_H
#define CLI_MOCK_CATALOG_H

#include "mock_request.h"

enum { MOCK_CATALOG_LEN = 1000 }; /* products that are listed if they have no end */

/* `rest` is what follows /products in the path. Every such request meets the rate limit, the
 * latency and the faults. */
enum MHD_Result mock_catalog(mock_request *request, const char *rest);

/* The same, compressed whatever the client accepts. */
enum MHD_Result mock_catalog_gzip(mock_request *request, const char *rest);

#endif
