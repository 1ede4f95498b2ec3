/* openapi.h - docs/openapi.json, made a string by the build. */
#ifndef MU_HTTP_OPENAPI_H
#define MU_HTTP_OPENAPI_H

extern const char mu_openapi[];

#endif
