/* A handful of sockets that connect in the background; nothing waits for them. */
#include "net/spares.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void drop(struct spares *spares, unsigned i)
{
	(void)close(spares->all[i].fd);
	spares->all[i] = spares->all[--spares->count];
}

static int begin(const struct sockaddr *addr, socklen_t size)
{
	const int one = 1;
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, addr, size) < 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void spares_open(struct spares *spares, unsigned count, const struct sockaddr *addr, socklen_t size,
		 uint64_t now_ms)
{
	bool internet = addr->sa_family == AF_INET || addr->sa_family == AF_INET6;
	for (; internet && count > 0 && spares->count < SPARES_MAX; count--) {
		struct spare spare = { .fd = begin(addr, size),
				       .opened_ms = now_ms,
				       .addr_size = size };
		if (spare.fd < 0)
			return;
		memcpy(&spare.addr, addr, size);
		spares->all[spares->count++] = spare;
	}
}

/* Connected, and nothing has come: neither an end nor bytes that nobody asked for. */
static bool is_ready(const struct spare *spare)
{
	struct pollfd poll_fd = { .fd = spare->fd, .events = POLLIN | POLLOUT };
	return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents == POLLOUT;
}

static bool is_coming(const struct spare *spare)
{
	struct pollfd poll_fd = { .fd = spare->fd, .events = POLLIN | POLLOUT };
	return poll(&poll_fd, 1, 0) == 0;
}

static bool goes_to(const struct spare *spare, const struct sockaddr *addr, socklen_t size)
{
	return spare->addr_size == size && memcmp(&spare->addr, addr, size) == 0;
}

int spares_take(struct spares *spares, const struct sockaddr *addr, socklen_t size, uint64_t now_ms)
{
	uint64_t unused = UINT64_MAX;
	spares_expire(spares, now_ms, &unused);
	for (unsigned i = 0; i < spares->count;) {
		struct spare *spare = &spares->all[i];
		if (!goes_to(spare, addr, size) || is_coming(spare)) {
			i++;
			continue;
		}
		if (!is_ready(spare)) {
			drop(spares, i); /* refused, or closed */
			continue;
		}
		int fd = spare->fd;
		spares->all[i] = spares->all[--spares->count];
		return fd;
	}
	return -1;
}

void spares_expire(struct spares *spares, uint64_t now_ms, uint64_t *wait_ms)
{
	for (unsigned i = 0; i < spares->count;) {
		uint64_t age = now_ms - spares->all[i].opened_ms;
		if (age >= SPARES_MAX_AGE_MS) {
			drop(spares, i);
			continue;
		}
		if (SPARES_MAX_AGE_MS - age < *wait_ms)
			*wait_ms = SPARES_MAX_AGE_MS - age;
		i++;
	}
}

void spares_release(struct spares *spares)
{
	while (spares->count > 0)
		drop(spares, spares->count - 1);
}
