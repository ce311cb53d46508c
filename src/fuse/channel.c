/* sendmsg(2) and recvmsg(2) with one descriptor. */
#include "fuse/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int channel_pair(int ends[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, "make a socket");
	return 0;
}

int channel_send(int socket, const struct message *message, int fd, struct err *err)
{
	/* sendmsg does not write to what it sends */
	struct iovec iov = { (void *)(uintptr_t)message, sizeof(*message) };
	union control control = { 0 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	ssize_t n;
	do {
		n = sendmsg(socket, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, "send a message") : 0;
}

static int received_fd(struct msghdr *header)
{
	int fd = -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(header);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int channel_receive(int socket, void *buf, size_t size, int *fd, int timeout_ms, struct err *err)
{
	struct iovec iov = { buf, size };
	union control control = { 0 };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct pollfd ready = { .fd = socket, .events = POLLIN };
	int events = poll(&ready, 1, timeout_ms);
	if (events == 0)
		return err_set(err, ETIMEDOUT, "no answer in time");
	ssize_t n = events < 0 ? -1 : recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return err_sys(err, "receive a message");
	auto_close int received = received_fd(&header);
	if (fd)
		*fd = TAKE_FD(received);
	return (int)n;
}
