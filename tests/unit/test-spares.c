/* Connections opened ahead: handed out when they are ready and go to the same place, else closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/spares.h"

struct place {
	int fd; /* owned: it listens */
	struct sockaddr_in addr;
};

static const struct sockaddr *of(const struct place *place)
{
	return (const struct sockaddr *)&place->addr;
}

static struct place listening(void)
{
	struct place place = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			       .addr = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(place.addr);
	assert_int_equal(bind(place.fd, of(&place), size), 0);
	assert_int_equal(listen(place.fd, 16), 0);
	assert_int_equal(getsockname(place.fd, (struct sockaddr *)&place.addr, &size), 0);
	return place;
}

/* Until the kernel has told what became of all of them. */
static void settle(const struct spares *spares)
{
	for (unsigned i = 0; i < spares->count; i++) {
		struct pollfd fd = { .fd = spares->all[i].fd, .events = POLLOUT };
		assert_int_equal(poll(&fd, 1, 10000), 1);
	}
}

static int take(struct spares *spares, const struct place *place, uint64_t now)
{
	return spares_take(spares, of(place), sizeof(place->addr), now);
}

static void test_taken_once_each(void **state)
{
	(void)state;
	struct place place = listening(), other = listening();
	struct spares spares = { 0 };
	spares_open(&spares, 2, of(&place), sizeof(place.addr), 1000);
	assert_int_equal(spares.count, 2);
	settle(&spares);
	assert_int_equal(take(&spares, &other, 1000), -1);
	for (int i = 0; i < 2; i++) {
		char byte = 'x', got = 0;
		auto_close int fd = take(&spares, &place, 1000);
		auto_close int peer = accept(place.fd, NULL, NULL);
		assert_true(fd >= 0 && peer >= 0);
		assert_int_equal(send(fd, &byte, 1, 0), 1);
		assert_int_equal(recv(peer, &got, 1, 0), 1);
		assert_int_equal(got, 'x');
	}
	assert_int_equal(take(&spares, &place, 1000), -1);
	assert_int_equal(spares.count, 0);
	(void)close(place.fd);
	(void)close(other.fd);
}

/* Refused, closed by the server, or with bytes that nobody asked for: none of them is handed out.
 */
static void test_dead_ones_are_dropped(void **state)
{
	(void)state;
	struct place place = listening(), gone = listening();
	struct spares spares = { 0 };
	(void)close(gone.fd);
	spares_open(&spares, 1, of(&gone), sizeof(gone.addr), 0);
	spares_open(&spares, 2, of(&place), sizeof(place.addr), 0);
	settle(&spares);
	(void)close(accept(place.fd, NULL, NULL));
	auto_close int talks = accept(place.fd, NULL, NULL);
	assert_int_equal(send(talks, "x", 1, 0), 1);
	for (unsigned i = 0; i < spares.count; i++) {
		struct pollfd fd = { .fd = spares.all[i].fd, .events = POLLIN };
		assert_int_equal(poll(&fd, 1, 10000), 1);
	}
	assert_int_equal(take(&spares, &gone, 0), -1);
	assert_int_equal(take(&spares, &place, 0), -1);
	assert_int_equal(spares.count, 0);
	(void)close(place.fd);
}

static void test_old_ones_are_closed(void **state)
{
	(void)state;
	struct place place = listening();
	struct spares spares = { 0 };
	uint64_t wait_ms = 60000;
	spares_open(&spares, 1, of(&place), sizeof(place.addr), 100);
	spares_open(&spares, 1, of(&place), sizeof(place.addr), 200);
	settle(&spares);
	spares_expire(&spares, 300, &wait_ms);
	assert_int_equal(wait_ms, SPARES_MAX_AGE_MS - 200);
	spares_expire(&spares, 100 + SPARES_MAX_AGE_MS, &wait_ms);
	assert_int_equal(wait_ms, 100);
	assert_int_equal(spares.count, 1);
	assert_int_equal(take(&spares, &place, 200 + SPARES_MAX_AGE_MS), -1);
	assert_int_equal(spares.count, 0);
	(void)close(place.fd);
}

static void test_not_too_many(void **state)
{
	(void)state;
	struct place place = listening();
	struct spares spares = { 0 };
	spares_open(&spares, 100, of(&place), sizeof(place.addr), 0);
	assert_int_equal(spares.count, SPARES_MAX);
	spares_release(&spares);
	assert_int_equal(spares.count, 0);
	(void)close(place.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_once_each),
		cmocka_unit_test(test_dead_ones_are_dropped),
		cmocka_unit_test(test_old_ones_are_closed),
		cmocka_unit_test(test_not_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
