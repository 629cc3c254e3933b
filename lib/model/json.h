/* json.h - is data/json.h now; this one goes as soon as nothing includes it. */
#include "data/json.h"
