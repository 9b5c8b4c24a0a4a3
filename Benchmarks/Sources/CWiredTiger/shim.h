// WiredTiger's handles are structs of function pointers, some of them variadic, which Swift cannot call: each call that
// the adapter makes has a plain function here. Keys and values are raw bytes (format "u").
#include <wiredtiger.h>

static inline int wt_close_connection(WT_CONNECTION *connection) {
    return connection->close(connection, NULL);
}

static inline int wt_open_session(WT_CONNECTION *connection, const char *settings, WT_SESSION **session) {
    return connection->open_session(connection, NULL, settings, session);
}

static inline int wt_close_session(WT_SESSION *session) {
    return session->close(session, NULL);
}

static inline int wt_create(WT_SESSION *session, const char *name, const char *settings) {
    return session->create(session, name, settings);
}

static inline int wt_checkpoint(WT_SESSION *session) {
    return session->checkpoint(session, NULL);
}

static inline int wt_begin(WT_SESSION *session, const char *settings) {
    return session->begin_transaction(session, settings);
}

static inline int wt_commit(WT_SESSION *session) {
    return session->commit_transaction(session, NULL);
}

static inline int wt_roll_back(WT_SESSION *session) {
    return session->rollback_transaction(session, NULL);
}

static inline int wt_truncate(WT_SESSION *session, WT_CURSOR *start, WT_CURSOR *stop) {
    return session->truncate(session, NULL, start, stop, NULL);
}

static inline int wt_open_cursor(WT_SESSION *session, const char *name, const char *settings, WT_CURSOR **cursor) {
    return session->open_cursor(session, name, NULL, settings, cursor);
}

static inline int wt_close_cursor(WT_CURSOR *cursor) {
    return cursor->close(cursor);
}

static inline void wt_set_key(WT_CURSOR *cursor, const void *bytes, size_t count) {
    WT_ITEM item;
    item.data = bytes;
    item.size = count;
    cursor->set_key(cursor, &item);
}

static inline void wt_set_value(WT_CURSOR *cursor, const void *bytes, size_t count) {
    WT_ITEM item;
    item.data = bytes;
    item.size = count;
    cursor->set_value(cursor, &item);
}

static inline int wt_get_key(WT_CURSOR *cursor, WT_ITEM *item) {
    return cursor->get_key(cursor, item);
}

static inline int wt_get_value(WT_CURSOR *cursor, WT_ITEM *item) {
    return cursor->get_value(cursor, item);
}

static inline int wt_insert(WT_CURSOR *cursor) {
    return cursor->insert(cursor);
}

static inline int wt_remove(WT_CURSOR *cursor) {
    return cursor->remove(cursor);
}

static inline int wt_search(WT_CURSOR *cursor) {
    return cursor->search(cursor);
}

static inline int wt_search_near(WT_CURSOR *cursor, int *position) {
    return cursor->search_near(cursor, position);
}

static inline int wt_next(WT_CURSOR *cursor) {
    return cursor->next(cursor);
}

static inline int wt_previous(WT_CURSOR *cursor) {
    return cursor->prev(cursor);
}

static inline int wt_reset(WT_CURSOR *cursor) {
    return cursor->reset(cursor);
}

// Macros with casts, which Swift does not import.
static inline int wt_not_found(void) {
    return WT_NOTFOUND;
}

static inline int wt_conflict(void) {
    return WT_ROLLBACK;
}
