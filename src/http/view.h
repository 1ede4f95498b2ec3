/* view.h - agents and events as JSON: the keys that docs/api.md promises. */
#ifndef MU_HTTP_VIEW_H
#define MU_HTTP_VIEW_H

#include "conductor/explain.h"
#include "http/json.h"

void mu_view_agent(struct mu_json *json, const char *key, const struct mu_view *view, mu_wall wall);
void mu_view_event(struct mu_json *json, const struct mu_event_row *row);
void mu_view_explanation(struct mu_json *json, const struct mu_explanation *why, mu_wall wall);

/* How long ago @view's agent was heard; MU_NEVER = not known. */
mu_dur mu_view_age(const struct mu_view *view, mu_wall wall);

/* The strong tag of what operators own, with its quotes. */
#define MU_ETAG_TEXT 64
char *mu_view_etag(const struct mu_view *view, char out[MU_ETAG_TEXT]);

#endif
