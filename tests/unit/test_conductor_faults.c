/* Each allocation of a life with joins, takeovers, writes, streams and a restart fails once. What
 * fails says so, undoes its work, and can be done again. */
#include "lib/faults.h"
#include "lib/rig.h"

/* As rig_frame(), where memory may be out on this side too. */
static void try_frame(struct rig *r, struct rig_sender *s, const struct mu_msg *msg)
{
    struct mu_buf buf;

    mu_buf_init(&buf, 0);
    r->msg.type = (enum mu_msg_type)0;
    if (mu_codec_put(&buf, msg) == 0) {
        int rv = mu_intake_frame(r->c, s->conn, buf.data, buf.len, r->now);

        FAULT_CHECK(rv);
    }
    mu_buf_fini(&buf);
}

static bool try_join(struct rig *r, struct rig_sender *s, const char *host, uint64_t start_id)
{
    struct mu_join_agent agents[2] = {rig_agent(host), rig_agent("other")};
    struct mu_msg msg = {
        .type = MU_MSG_JOIN,
        .join = {.version = MU_WIRE_VERSION, .start_id = start_id, .n = 2, .agents = agents}};

    agents[0].payload = rig_bytes("{}");
    agents[0].zone = rig_bytes(start_id == 2 ? "b zone" : "a zone");
    agents[0].labels[0] = (struct mu_label){rig_bytes("rack"), rig_bytes("r1")};
    agents[0].nlabels = 1;
    memset(s, 0, sizeof(*s));
    s->conn = ++r->conns;
    if (mu_intake_opened(r->c, s->conn, "10.0.0.1:1", r->now) != 0)
        return false;
    try_frame(r, s, &msg);
    if (r->msg.type != MU_MSG_JOINED)
        rig_commit(r, 0);
    if (r->msg.type != MU_MSG_JOINED)
        return false;
    rig_joined(r, s);
    if (r->joined[0].rv != 0)
        assert_int_equal(r->joined[0].rv, MU_EAGAIN);
    return r->joined[0].rv == 0;
}

static void try_write(struct rig *r, enum mu_op op)
{
    uint32_t slot = mu_roster_find(mu_conductor_roster(r->c), "b", "h");
    int rv;

    if (slot == MU_NO_SLOT)
        return;
    rv = mu_conductor_write(r->c, slot, op, "a reason", MU_ANY_REVISION, r->now, rig_done, r);
    if (rv != 0)
        assert_true(mu_mem_fault_fired() && (rv == MU_ENOMEM || rv == MU_EAGAIN));
    rig_commit(r, 0);
}

static void live(struct rig *r)
{
    struct rig_sender a, b;
    bool in;

    rig_begin(r);
    in = try_join(r, &a, "h", 1);
    try_join(r, &b, "h", 2);
    if (in && r->msg.type == MU_MSG_JOINED && r->joined[0].rv == MU_EAGAIN)
        assert_int_equal(rig_beat(r, &a, 0), MU_ACK_OK); /* he still has the name */
    try_write(r, MU_OP_DISABLE);
    try_write(r, MU_OP_FORCE_DOWN);
    if (mu_conductor_http_beat(r->c, "b", "cron", 0, r->now, rig_done, r) != 0)
        assert_true(mu_mem_fault_fired());
    rig_run(r, 200 * MU_MS);
    mu_intake_closed(r->c, a.conn, true, r->now);
    mu_intake_closed(r->c, b.conn, true, r->now);
    rig_sleep(r, MU_SEC);
    rig_run(r, 5 * MU_SEC);
    try_write(r, MU_OP_DELETE);
}

static void conductor_survives_each_failing_allocation(void **state)
{
    static struct rig room;
    struct rig *r = &room;

    FOR_EACH_FAULT (n) {
        struct rig_sender s;
        int rv;

        rig_init(r);
        rv = rig_new(r);
        FAULT_CHECK(rv);
        if (rv != 0)
            continue;
        live(r);
        if (!mu_mem_fault_fired())
            mu_mem_fault_at(0);
        /* Nothing of it is left behind: all of it can be done now. */
        assert_true(try_join(r, &s, "h", 3) || !mu_mem_fault_fired());
        if (mu_mem_fault_fired()) {
            assert_int_equal(rig_view(r, "h").row.state, MU_UP);
            assert_int_equal(rig_beat(r, &s, 0), /* forced still, where the delete failed */
                             rig_view(r, "h").row.forced_down ? MU_ACK_FENCED : MU_ACK_OK);
            assert_true(mu_bus_floor(mu_conductor_bus(r->c)) == UINT64_MAX);
        }
        rig_free(r);
    }
    mu_mem_fault_at(0);
}

static void restore_survives_each_failing_allocation(void **state)
{
    static struct rig room;
    static struct rig_rows saved;
    struct rig *r = &room;
    struct rig_rows *rows = &saved;
    struct rig_sender s;

    rig_setup(r);
    rig_join(r, &s, "h", 1);
    rig_join(r, &s, "i", 2);
    rig_save(r, rows);
    rig_free(r);
    r->config.epoch++;
    FOR_EACH_FAULT (n) {
        int rv = rig_new(r);

        FAULT_CHECK(rv);
        for (size_t i = 0; i < rows->n && rv == 0; i++) {
            rv = rig_restore(r, &rows->row[i]);
            FAULT_CHECK(rv);
        }
        if (rv == 0) {
            rv = mu_conductor_restored(r->c);
            FAULT_CHECK(rv);
        }
        rig_free(r);
    }
    mu_mem_fault_at(0);
    for (size_t i = 0; i < rows->n; i++)
        mu_ident_unref(rows->row[i].ident);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conductor_survives_each_failing_allocation),
        cmocka_unit_test(restore_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests_name("conductor_faults", tests, NULL, NULL);
}
