/* mock_product.h: the products. Each is made from its number alone and never changes. */
#ifndef CLI_MOCK_PRODUCT_H
#define CLI_MOCK_PRODUCT_H

#include <stdint.h>

#include "mock_text.h"

/* Adds product n as a JSON object on one line, 200 to 300 bytes for all but huge n. */
void mock_product_add(mock_text *text, uint64_t n);

#endif
