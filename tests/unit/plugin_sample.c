/* A plugin of a kind that only tests/unit/test_plugin.c knows. */
#include "base/plugin.h"

static const int sample = 42;

MU_PLUGIN("test", 7, sample);
