/* mailbox.h - a way for any thread to hand values to the loop's thread.
 *
 * The mail is a member of what is sent, so posting allocates nothing and cannot fail; how much may
 * be under way is bounded by whoever owns the values. Delivered in the order posted. */
#ifndef MU_LOOP_MAILBOX_H
#define MU_LOOP_MAILBOX_H

struct uv_loop_s;

struct mu_mail {
    struct mu_mail *next; /* the mailbox's, from post to delivery */
};

struct mu_mailbox;

/* Runs on the loop's thread; @mail is the receiver's again. It may post and close. */
typedef void (*mu_mail_fn)(void *ctx, struct mu_mail *mail);

/* Returns 0, MU_ENOMEM, or MU_EIO when the loop has no descriptor for it. An open box keeps
 * uv_run() going. */
int mu_mailbox_open(struct mu_mailbox **out, struct uv_loop_s *loop, mu_mail_fn fn, void *ctx);

/* Any thread. Not after mu_mailbox_close(). */
void mu_mailbox_post(struct mu_mailbox *box, struct mu_mail *mail);

/* On the loop's thread; what is still in the box is not delivered. @closed (may be NULL) runs from
 * the loop; the box's memory is gone by then. */
void mu_mailbox_close(struct mu_mailbox *box, void (*closed)(void *ctx), void *ctx);

#endif
