/* list.h - a doubly linked ring; the links live inside the structs that are listed.
 *
 * A head and an idle link are linked to themselves. */
#ifndef MU_BASE_LIST_H
#define MU_BASE_LIST_H

#include <stdbool.h>

struct mu_list {
    struct mu_list *next, *prev;
};

static inline void mu_list_init(struct mu_list *list)
{
    list->next = list->prev = list;
}

static inline bool mu_list_empty(const struct mu_list *head)
{
    return head->next == head;
}

static inline void mu_list_append(struct mu_list *head, struct mu_list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* @link is idle afterwards; one that is idle already stays so. */
static inline void mu_list_remove(struct mu_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    mu_list_init(link);
}

#endif
