#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

static const struct {
    const char *word;
    char priority; /* syslog's */
} levels[] = {
    [MU_LOG_ERROR] = {"error", '3'},
    [MU_LOG_WARN] = {"warn", '4'},
    [MU_LOG_INFO] = {"info", '6'},
    [MU_LOG_DEBUG] = {"debug", '7'},
};

static atomic_int max_level = MU_LOG_INFO;
static atomic_int chosen = MU_LOG_TEXT;
static atomic_int journal_fd = -1; /* made at the first setup that wants it, never closed */
static atomic_bool behind_journal; /* our stderr is one of journald's streams */
static atomic_uint left_out;       /* lines, since standard error was full */

/* A line while it is made, on the stack: a log must work without memory. What does not fit is
 * left out by whole values, so that JSON stays JSON. A pipe takes it whole or not at all. */
struct line {
    char text[PIPE_BUF];
    size_t n;
    bool full;
};

static void put(struct line *line, const char *text, size_t n)
{
    if (line->full || n > sizeof(line->text) - line->n - 4) { /* 4: "}\n" and room to spare */
        line->full = true;
        return;
    }
    memcpy(line->text + line->n, text, n);
    line->n += n;
}

static void puts_to(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* The part that was begun at @mark, or nothing of it. */
static void whole_or_not(struct line *line, size_t mark)
{
    if (line->full)
        line->n = mark;
    line->full = false;
}

/* @text without what could end a line, a string, or fool a terminal: as \n, \", \uXXXX. Invalid
 * bytes become U+FFFD. */
static void put_escaped(struct line *line, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        char esc[24];
        uint32_t cp = 0xFFFD;
        int len = mu_utf8_next(text, n, &cp);
        if (cp == '"' || cp == '\\') {
            esc[0] = '\\';
            esc[1] = (char)cp;
            put(line, esc, 2);
        } else if (cp == '\n') {
            put(line, "\\n", 2);
        } else if (!mu_utf8_visible(cp) && cp > 0xFFFF) {
            put(line, "?", 1);
        } else if (len == 0 || !mu_utf8_visible(cp)) {
            put(line, esc, (size_t)snprintf(esc, sizeof(esc), "\\u%04x", (unsigned)cp));
        } else {
            put(line, text, (size_t)len);
        }
        text += len ? len : 1;
        n -= (size_t)(len ? len : 1);
    }
}

static void put_quoted(struct line *line, const char *text)
{
    puts_to(line, "\"");
    put_escaped(line, text);
    puts_to(line, "\"");
}

static const char *text_of(const struct mu_kv *kv)
{
    return kv->v.text ? kv->v.text : "";
}

static void put_number(struct line *line, const struct mu_kv *kv)
{
    char digits[32];

    if (kv->type == MU_KV_INT)
        snprintf(digits, sizeof(digits), "%" PRIi64, kv->v.i);
    else
        snprintf(digits, sizeof(digits), "%" PRIu64, kv->v.u);
    puts_to(line, digits);
}

/* Whether a value reads well without quotes. */
static bool is_bare(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~' || strchr("\"\\=", *p))
            return false;
    return *text;
}

static void put_pair(struct line *line, const struct mu_kv *kv)
{
    puts_to(line, " ");
    puts_to(line, kv->key);
    puts_to(line, "=");
    if (kv->type != MU_KV_TEXT)
        put_number(line, kv);
    else if (is_bare(text_of(kv)))
        puts_to(line, text_of(kv));
    else
        put_quoted(line, text_of(kv));
}

/* `room: what key=value`, without an end. */
static void put_message(struct line *line, const char *room, const char *what,
                        const struct mu_kv *kvs, size_t n)
{
    put_escaped(line, room);
    puts_to(line, ": ");
    put_escaped(line, what);
    for (size_t i = 0; i < n; i++) {
        size_t mark = line->n;
        put_pair(line, &kvs[i]);
        whole_or_not(line, mark);
    }
}

/* Whether standard error takes a line now; so does one that is closed, and forgets it. */
static bool is_writable(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&p, 1, 0) != 0;
}

static void write_stderr(const struct line *line)
{
    if (!is_writable())
        left_out++;
    else
        while (write(STDERR_FILENO, line->text, line->n) < 0 && errno == EINTR)
            ;
}

static void write_text(enum mu_log_level level, const char *room, const char *what,
                       const struct mu_kv *kvs, size_t n)
{
    struct line line = {.n = 0};

    if (atomic_load(&behind_journal)) {
        char prefix[] = {'<', levels[level].priority, '>'};
        put(&line, prefix, sizeof(prefix));
    }
    puts_to(&line, levels[level].word);
    puts_to(&line, " ");
    put_message(&line, room, what, kvs, n);
    line.text[line.n++] = '\n';
    write_stderr(&line);
}

static void put_json_pair(struct line *line, const char *key, const char *text)
{
    puts_to(line, line->n == 0 ? "{\"" : ",\"");
    puts_to(line, key);
    puts_to(line, "\":");
    put_quoted(line, text);
}

static void write_json(enum mu_log_level level, const char *room, const char *what,
                       const struct mu_kv *kvs, size_t n)
{
    struct line line = {.n = 0};
    char at[MU_WALL_TEXT];

    put_json_pair(&line, "at", mu_wall_text(mu_clock_wall(), at));
    put_json_pair(&line, "level", levels[level].word);
    put_json_pair(&line, "room", room);
    put_json_pair(&line, "message", what);
    for (size_t i = 0; i < n; i++) {
        size_t mark = line.n;
        if (kvs[i].type == MU_KV_TEXT) {
            put_json_pair(&line, kvs[i].key, text_of(&kvs[i]));
        } else {
            puts_to(&line, ",\"");
            puts_to(&line, kvs[i].key);
            puts_to(&line, "\":");
            put_number(&line, &kvs[i]);
        }
        whole_or_not(&line, mark);
    }
    memcpy(line.text + line.n, "}\n", 2);
    line.n += 2;
    write_stderr(&line);
}

/* A field of journald's native protocol: NAME, newline, length as 64-bit little-endian, bytes,
 * newline. This form takes any bytes. */
static void put_field(struct line *line, const char *prefix, const char *key, const char *value,
                      size_t n)
{
    size_t mark = line->n;
    char head[8];

    puts_to(line, prefix);
    for (; *key; key++) {
        char c = (char)(*key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key);
        put(line, &c, 1);
    }
    for (size_t i = 0; i < sizeof(head); i++)
        head[i] = (char)(n >> (8 * i) & 0xFF);
    put(line, "\n", 1);
    put(line, head, sizeof(head));
    put(line, value, n);
    put(line, "\n", 1);
    whole_or_not(line, mark);
}

static bool write_journal(enum mu_log_level level, const char *room, const char *what,
                          const struct mu_kv *kvs, size_t n)
{
    struct line message = {.n = 0}, line = {.n = 0};
    ssize_t sent;

    put_message(&message, room, what, kvs, n);
    put_field(&line, "", "PRIORITY", &levels[level].priority, 1);
    put_field(&line, "", "SYSLOG_IDENTIFIER", "muster", strlen("muster"));
    put_field(&line, "", "MUSTER_ROOM", room, strlen(room));
    put_field(&line, "", "MESSAGE", message.text, message.n);
    for (size_t i = 0; i < n; i++) {
        struct line digits = {.n = 0};
        if (kvs[i].type == MU_KV_TEXT) {
            put_field(&line, "MUSTER_", kvs[i].key, text_of(&kvs[i]), strlen(text_of(&kvs[i])));
        } else {
            put_number(&digits, &kvs[i]);
            put_field(&line, "MUSTER_", kvs[i].key, digits.text, digits.n);
        }
    }
    do /* a journald that hangs must not hang us */
        sent = send(atomic_load(&journal_fd), line.text, line.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static void put_out(enum mu_log_level level, const char *room, const char *what,
                    const struct mu_kv *kvs, size_t n)
{
    int how = atomic_load(&chosen);

    if (how == MU_LOG_JSON)
        write_json(level, room, what, kvs, n);
    else if (how != MU_LOG_JOURNALD || !write_journal(level, room, what, kvs, n))
        write_text(level, room, what, kvs, n);
}

static void emit(enum mu_log_level level, const char *room, const char *what,
                 const struct mu_kv *kvs, size_t n)
{
    if (left_out && is_writable())
        put_out(MU_LOG_WARN, "log", "lines left out, since nobody read them",
                (const struct mu_kv[]){MU_KVU("lines", atomic_exchange(&left_out, 0))}, 1);
    put_out(level, room, what, kvs, n);
}

/* Lines that are repeated. A kind of line is its room and its text. */
#define KINDS           64
#define WINDOW          (10 * MU_SEC)
#define ALLOWED         10
#define CHANGES_ALLOWED 1000

static struct kind {
    char room[24], what[104]; /* "" = free */
    enum mu_log_level level;
    mu_time since;
    unsigned count, allowed; /* in this window; what is above was held back */
} kinds[KINDS];
static pthread_mutex_t kinds_lock = PTHREAD_MUTEX_INITIALIZER;

static void tell_held_back(struct kind *kind)
{
    if (kind->count > kind->allowed)
        emit(kind->level, kind->room, kind->what,
             (const struct mu_kv[]){MU_KVU("held_back", kind->count - kind->allowed)}, 1);
    kind->room[0] = '\0';
}

static void close_windows(mu_time now)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].room[0] && now - kinds[i].since >= WINDOW)
            tell_held_back(&kinds[i]);
}

/* The entry of this kind of line, made when there is none; NULL when the table is full. */
static struct kind *kind_of(enum mu_log_level level, const char *room, const char *what,
                            mu_time now)
{
    struct kind *free_one = NULL;

    for (size_t i = 0; i < KINDS; i++) {
        struct kind *kind = &kinds[i];
        if (!kind->room[0])
            free_one = free_one ? free_one : kind;
        else if (strncmp(kind->what, what, sizeof(kind->what) - 1) == 0 &&
                 strncmp(kind->room, room, sizeof(kind->room) - 1) == 0)
            return kind;
    }
    if (!free_one)
        return NULL;
    *free_one = (struct kind){.level = level, .since = now};
    strncpy(free_one->room, room, sizeof(free_one->room) - 1);
    strncpy(free_one->what, what, sizeof(free_one->what) - 1);
    return free_one;
}

static bool held_back(enum mu_log_level level, const char *room, const char *what, unsigned allowed)
{
    mu_time now = mu_clock_now();
    struct kind *kind;
    bool held;

    pthread_mutex_lock(&kinds_lock);
    close_windows(now);
    kind = level == MU_LOG_ERROR ? NULL : kind_of(level, room, what, now);
    if (kind)
        kind->allowed = allowed;
    held = kind && ++kind->count > allowed;
    pthread_mutex_unlock(&kinds_lock);
    return held;
}

void mu_log_tick(void)
{
    mu_time now = mu_clock_now();

    pthread_mutex_lock(&kinds_lock);
    close_windows(now);
    pthread_mutex_unlock(&kinds_lock);
}

void mu_log_flush(void)
{
    pthread_mutex_lock(&kinds_lock);
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].room[0])
            tell_held_back(&kinds[i]);
    pthread_mutex_unlock(&kinds_lock);
}

/* $JOURNAL_STREAM is "DEVICE:INODE" of the stream that systemd gave us; it is inherited by
 * children whose standard error goes elsewhere, so both are compared. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, ours) == 0;
}

static const char *journal_path = "/run/systemd/journal/socket";

void mu_log_journal_at(const char *path)
{
    int fd = atomic_exchange(&journal_fd, -1);

    if (fd >= 0)
        close(fd);
    journal_path = path;
}

static bool reach_journal(void)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd, none = -1;

    if (atomic_load(&journal_fd) >= 0)
        return true;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    strncpy(un.sun_path, journal_path, sizeof(un.sun_path) - 1);
    if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 &&
        atomic_compare_exchange_strong(&journal_fd, &none, fd))
        return true;
    close(fd);
    return atomic_load(&journal_fd) >= 0;
}

void mu_log_setup(enum mu_log_level level, enum mu_log_format format)
{
    atomic_store(&behind_journal, stderr_is_journal());
    if (format == MU_LOG_AUTO)
        format = atomic_load(&behind_journal) ? MU_LOG_JOURNALD : MU_LOG_TEXT;
    if (format == MU_LOG_JOURNALD && !reach_journal())
        format = MU_LOG_TEXT;
    atomic_store(&chosen, (int)format);
    atomic_store(&max_level, (int)level);
}

int mu_log_on(enum mu_log_level level)
{
    return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void mu_log_write(enum mu_log_level level, const char *room, const char *what,
                  const struct mu_kv *kvs, size_t n)
{
    if (mu_log_on(level) && !held_back(level, room, what, ALLOWED))
        emit(level, room, what, kvs, n);
}

bool mu_log_change_due(enum mu_log_level level, const char *room, const char *what)
{
    return mu_log_on(level) && !held_back(level, room, what, CHANGES_ALLOWED);
}

void mu_log_change(enum mu_log_level level, const char *room, const char *what,
                   const struct mu_kv *kvs, size_t n)
{
    emit(level, room, what, kvs, n);
}
