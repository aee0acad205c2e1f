#include "torture.h"
TESTS({NULL,NULL})
