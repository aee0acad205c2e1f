/* mock_route.h: which path is answered how. */
#ifndef CLI_MOCK_ROUTE_H
#define CLI_MOCK_ROUTE_H

#include "mock_request.h"

/* Finds the handler for the request's path and calls it. Called again after each wait. */
enum MHD_Result mock_route(mock_request *request);

/* Whether requests for the path are left out of the counts. */
bool mock_route_uncounted(const char *path);

#endif
